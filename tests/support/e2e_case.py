# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end files share: a test case with a broker, pika connections, a runner.

Ends a file with run(): prints one line per test, writes the counts where scripts/test adds them
up ($WARREN_TEST_RESULTS), and exits non-zero on failure.
"""

import faulthandler
import itertools
import json
import os
import pathlib
import sys
import time
import unittest

import pika
import pika.exceptions

from broker_process import Broker

WAIT_SECONDS = 20
FILE_SECONDS = float(os.environ.get("WARREN_FILE_SECONDS", "240"))
PERSISTENT = pika.BasicProperties(delivery_mode=2)
_numbers = itertools.count(1)


class BrokerCase(unittest.TestCase):
    """One broker per class, started with OPTIONS; a case may restart it."""

    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(*cls.OPTIONS)
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print("---- end of the broker's log\n" + self.broker.log_text()[-3000:], flush=True)

    def parameters(self, **more):
        values = {"heartbeat": 0, "blocked_connection_timeout": WAIT_SECONDS,
                  "socket_timeout": WAIT_SECONDS, **more}
        return pika.ConnectionParameters(self.broker.host, self.broker.port, **values)

    def connect(self, **more):
        connection = pika.BlockingConnection(self.parameters(**more))
        self.addCleanup(close_quietly, connection)
        return connection

    def channel(self):
        return self.connect().channel()

    def name(self, word="queue"):
        """A name that no other case uses."""
        return f"{self.id().rsplit('.', 1)[-1]}.{word}.{os.getpid()}.{next(_numbers)}"

    def queue(self, channel, **arguments):
        """A new queue, deleted after the case, so that a case leaves nothing behind."""
        name = self.name()
        channel.queue_declare(name, **arguments)
        return name

    def take(self, channel, queue, count, auto_ack=True):
        """Exactly `count` messages by basic.get: (method, properties, body) each."""
        got = []
        deadline = time.monotonic() + WAIT_SECONDS
        while len(got) < count:
            method, properties, body = channel.basic_get(queue, auto_ack=auto_ack)
            if method is not None:
                got.append((method, properties, body))
            elif time.monotonic() > deadline:
                self.fail(f"{queue}: {len(got)} of {count} messages")
            else:
                time.sleep(0.01)
        return got

    def bodies(self, channel, queue, count):
        return [body for _, _, body in self.take(channel, queue, count)]

    def assert_empty(self, channel, queue):
        self.assertIsNone(channel.basic_get(queue, auto_ack=True)[0])

    def assert_channel_closed(self, code, text, action, *args, **kwargs):
        """`action` ends its channel with this reply code and text."""
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            action(*args, **kwargs)
        self.assertEqual(caught.exception.reply_code, code, caught.exception.reply_text)
        self.assertIn(text, caught.exception.reply_text)

    def wait_for(self, what, condition, connection=None, seconds=WAIT_SECONDS):
        """Serves `connection` (or sleeps) until `condition()`; fails naming `what`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{what}: not within {seconds} s")
            if connection is not None:
                connection.process_data_events(0.01)
            else:
                time.sleep(0.005)


def close_quietly(connection):
    try:
        if connection.is_open:
            connection.close()
    except pika.exceptions.AMQPError:
        pass


class _Lines(unittest.TextTestResult):
    """One plain line per case: its name, how it ended, how long it took."""

    def startTest(self, test):
        self._began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        print(f"ok    {test.id()} ({time.monotonic() - self._began:.2f} s)", flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print(f"FAIL  {test.id()}", flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        print(f"ERROR {test.id()}", flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skip  {test.id()}: {reason}", flush=True)


def run():
    """The main of an end-to-end file."""
    faulthandler.dump_traceback_later(FILE_SECONDS, exit=True)  # a hang is a failure, with a trace
    program = unittest.main(module="__main__", exit=False, verbosity=0,
                            testRunner=unittest.TextTestRunner(resultclass=_Lines, verbosity=0))
    faulthandler.cancel_dump_traceback_later()
    result = program.result
    folder = os.environ.get("WARREN_TEST_RESULTS")
    name = os.environ.get("WARREN_TEST_NAME")
    if folder and name:
        counts = {"tests": result.testsRun, "failures": len(result.failures),
                  "errors": len(result.errors), "disabled": len(result.skipped)}
        pathlib.Path(folder, f"{name}.json").write_text(json.dumps(counts), encoding="ascii")
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
