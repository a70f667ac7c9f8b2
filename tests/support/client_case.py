# SPDX-License-Identifier: Apache-2.0
"""Programs made with the client libraries of other ecosystems, and what each of them must show.

A program is called `PROGRAM SCENARIO PORT NAME`, prefixes everything it declares with NAME, and
says what happens to it in lines of words on its stdout; tests/e2e/clients/README.md lists the
scenarios and the lines. EveryClient holds one case for each scenario that all programs share.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from broker_process import PROGRAM, ROOT
from e2e_case import BrokerCase

SOURCES = ROOT / "tests/e2e/clients"
# What is compiled or installed: beside the broker, build/<preset>/clients.
MADE = pathlib.Path(PROGRAM).resolve().parents[1] / "clients"
CLIENT_SECONDS = 60
MAKE_SECONDS = 200


def made(name, *commands, **environment):
    """The folder where `commands` have made something of copies of the sources of client `name`;
    made once for both numbers of threads, and again when the sources or the commands change."""
    folder = MADE / name
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(path for path in (SOURCES / name).iterdir() if path.is_file())
    digest = hashlib.sha256(repr(
        [commands, environment, [path.read_bytes() for path in sources]]).encode()).hexdigest()
    stamp = MADE / f"{name}.made"
    with open(MADE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
            return folder
        for source in sources:
            shutil.copy(source, folder)
        for command in commands:
            done = subprocess.run(command, cwd=folder, env={**os.environ, **environment},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=MAKE_SECONDS,
                                  check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-3000:]}\n"
                                   "scripts/install-deps installs what is needed")
        stamp.write_text(digest, encoding="ascii")
    return folder


class Client:
    """A program in a child process; its lines are collected as lists of words."""

    def __init__(self, case, command, environment=None):
        self.case = case
        self.lines = []
        self._news = threading.Condition()
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self._errors, text=True, env={**os.environ, **(environment or {})})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        case.addCleanup(self.close)

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.split())
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def all(self, word):
        """What followed `word` in every line that begins with it."""
        with self._news:
            return [line[1:] for line in self.lines if line and line[0] == word]

    def wait_for(self, word, count=1, seconds=CLIENT_SECONDS):
        """Until `count` lines begin with `word`: what followed it in the last of them."""
        deadline = time.monotonic() + seconds
        while True:
            with self._news:
                found = [line[1:] for line in self.lines if line and line[0] == word]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left > 0 and self._reader.is_alive():
                    self._news.wait(min(left, 0.2))
                    continue
            self.case.fail(f"{len(found)} of {count} lines '{word}'\n{self.report()}")

    def finish(self, seconds=CLIENT_SECONDS):
        """Waits for the program's end, which must be a success."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.case.fail(f"still running after {seconds} s\n{self.report()}")
        self._reader.join(seconds)
        self.case.assertEqual(code, 0, self.report())
        return self

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(CLIENT_SECONDS)

    def report(self):
        self._errors.seek(0)
        errors = self._errors.read().decode("utf-8", "replace")
        with self._news:
            last = "\n".join(" ".join(line) for line in self.lines[-15:])
        return (f"{' '.join(self.process.args)}\n---- its last lines\n{last}\n"
                f"---- its errors\n{errors[-3000:]}")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(CLIENT_SECONDS)
        self._reader.join(CLIENT_SECONDS)
        self.process.stdout.close()
        self._errors.close()


class ClientCase(BrokerCase):
    """A broker and a client program."""

    ENVIRONMENT = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.command = cls.program()

    @classmethod
    def program(cls):
        """The words that call the program, which is made first when it has to be."""
        raise NotImplementedError

    def client(self, scenario, name=None):
        """Starts the program; entities are prefixed with `name`."""
        return Client(self, [*self.command, scenario, self.broker.port, name or self.name("run")],
                      self.ENVIRONMENT)

    def run_client(self, scenario):
        return self.client(scenario).finish()


class EveryClient(ClientCase):
    """What a program of every ecosystem shows."""

    def test_publishes_consumes_and_requeues(self):
        done = self.run_client("work")
        everything = [str(number) for number in range(100)]
        self.assertEqual([words[0] for words in done.all("confirmed")], everything)
        self.assertEqual(done.all("returned"), [["312", "NO_ROUTE"]])
        # Ten deliveries fill the prefetch of ten: ninety messages stay ready.
        self.assertEqual(done.all("held"), [["10", "90"]])
        got = done.all("got")
        self.assertEqual(sorted(int(number) for number, _ in got), list(range(100)))
        self.assertEqual([number for number, again in got if again == "1"], ["0"])
        self.assertEqual(done.all("left"), [["0", "0"]])

    def test_dead_letters_what_it_rejects(self):
        name = self.name("run")
        done = self.client("dead-letter", name).finish()
        self.assertEqual(len(done.all("confirmed")), 10)
        self.assertEqual(done.all("dead"), [
            [str(number), "rejected", f"{name}.q", "1", f"{name}.x", "work"]
            for number in range(1, 10, 2)])
        self.assertEqual(done.all("left"), [["0"]])

    def test_recovers_when_the_broker_is_killed(self):
        name = self.name("run")
        client = self.client("recover", name)
        client.wait_for("confirmed", 100)
        client.wait_for("got", 20)
        self.broker.restart("kill")
        client.wait_for("lost")
        client.wait_for("recovered")
        client.finish()
        self.check_nothing_was_lost(client, name)

    def check_nothing_was_lost(self, client, name):
        published = int(client.all("done")[0][0])
        self.assertGreaterEqual(published, 150)
        everything = list(range(published))
        confirmed = [int(number) for number, in client.all("confirmed")]
        self.assertEqual(sorted(set(confirmed)), everything)
        self.assertEqual(sorted({int(number) for number, _ in client.all("got")}), everything)
        self.check_flags(client)
        # The queue that nobody consumed from holds all of them in publish order; what was in
        # flight when the broker died may be there twice.
        channel = self.channel()
        count = channel.queue_declare(f"{name}.kept", passive=True).method.message_count
        kept = [int(body) for body in self.bodies(channel, f"{name}.kept", count)]
        self.assertEqual(list(dict.fromkeys(kept)), everything)

    # R13: whatever was delivered before comes back flagged, also after a crash.
    def check_flags(self, client):
        """Of messages that were published once, that is, confirmed before the kill."""
        words = [line[0] for line in client.lines]
        before = client.lines[:words.index("lost")]
        once = {line[1] for line in before if line[0] == "confirmed"}
        self.assertGreaterEqual(len(once), 100)
        seen = set()
        for number, again in client.all("got"):
            if number in once and number in seen:
                self.assertEqual(again, "1", f"{number} came again without the flag")
            seen.add(number)
