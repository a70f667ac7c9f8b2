#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGINT: every client is told (320), nothing confirmed is lost, exit code 0."""

import pathlib
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from broker_process import STOP_SECONDS
from e2e_case import PERSISTENT, BrokerCase, run
from raw_amqp import RawConnection


class Shutdown(BrokerCase):
    def setUp(self):
        if not self.broker.running():
            self.broker.start()

    def test_every_client_is_told(self):
        connections = [RawConnection(self.broker.port).open() for _ in range(20)]
        for connection in connections:
            self.addCleanup(connection.close)
        codes = []

        def read(connection):
            codes.append(connection.read_close())

        readers = [threading.Thread(target=read, args=(c,)) for c in connections]
        for reader in readers:
            reader.start()
        self.assertEqual(self.broker.terminate(), 0)
        for reader in readers:
            reader.join(STOP_SECONDS)
        self.assertEqual(codes, [320] * len(connections))

    def test_close_says_why(self):
        connection = RawConnection(self.broker.port).open()
        self.addCleanup(connection.close)
        self.broker.process.send_signal(signal.SIGINT)
        got = connection.read_method()
        self.assertEqual(got[1:3], (10, 50))
        code, size = struct.unpack(">HB", got[3][:3])
        self.assertEqual(code, 320)
        self.assertIn(b"CONNECTION_FORCED", got[3][3:3 + size])
        connection.close()
        self.assertEqual(self.broker.process.wait(STOP_SECONDS), 0)

    def test_clients_that_do_not_answer_do_not_hold_it_up(self):
        silent = RawConnection(self.broker.port).open()
        half_open = RawConnection(self.broker.port)
        self.addCleanup(silent.close)
        self.addCleanup(half_open.close)
        began = time.monotonic()
        self.assertEqual(self.broker.terminate(), 0)
        self.assertLess(time.monotonic() - began, 10)

    def test_confirmed_while_stopping_is_kept(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        confirmed = []

        def publish():
            try:
                connection = pika.BlockingConnection(self.parameters())
                publisher = connection.channel()
                publisher.confirm_delivery()
                for number in range(100000):
                    publisher.basic_publish("", queue, b"%d" % number, PERSISTENT)
                    confirmed.append(number)
            except pika.exceptions.AMQPError:
                pass

        publisher = threading.Thread(target=publish)
        publisher.start()
        self.wait_for("some confirms", lambda: len(confirmed) > 100)
        self.assertEqual(self.broker.terminate(), 0)
        publisher.join(STOP_SECONDS)
        self.broker.start()
        channel = self.channel()
        count = channel.queue_declare(queue, passive=True).method.message_count
        got = [int(body) for body in self.bodies(channel, queue, count)]
        self.assertEqual(got, list(range(count)))
        self.assertGreaterEqual(count, len(confirmed))

    def test_stopping_twice_in_a_row_is_one_stop(self):
        for _ in range(3):
            self.broker.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.broker.process.wait(STOP_SECONDS), 0)


if __name__ == "__main__":
    run()
