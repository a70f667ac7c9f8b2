#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts that must be refused: exit code, one clear line, and the directory as it was before."""

import hashlib
import os
import pathlib
import re
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika

from broker_process import PROGRAM, Broker
from dump_case import dump
from e2e_case import run

CANNOT_OPEN, CANNOT_LISTEN, USAGE = 3, 4, 2


def fingerprint(folder):
    """Every name, kind, mode and content below `folder`."""
    lines = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        lines.append(f"{path} {oct(path.stat().st_mode)} {content}")
    return lines


class Refusals(unittest.TestCase):
    def broker(self, **more):
        broker = Broker(**more)
        self.addCleanup(broker.close)
        return broker

    def error_lines(self, text):
        return [line for line in text.splitlines() if re.search(r"error|warrend:", line)]

    def assert_refused(self, broker, code, *texts):
        """Refused with one line that holds every text; no log beside it says error."""
        before = fingerprint(broker.data_dir)
        got_code, output = broker.run_to_exit()
        self.assertEqual(got_code, code, output)
        self.assertEqual(len(self.error_lines(output)), 1, output)
        for text in texts:
            self.assertRegex(self.error_lines(output)[0], text)
        self.assertNotIn("Traceback", output)
        self.assertEqual(fingerprint(broker.data_dir), before)

    def stopped_store(self):
        broker = self.broker()
        broker.start()
        self.assertEqual(broker.terminate(), 0)
        return broker

    def test_foreign_directory(self):
        broker = self.broker()
        os.makedirs(broker.data_dir)
        pathlib.Path(broker.data_dir, "photo.jpg").write_bytes(b"not ours")
        self.assert_refused(broker, CANNOT_OPEN, re.escape(broker.data_dir))

    def test_newer_format(self):
        broker = self.stopped_store()
        marker = pathlib.Path(broker.data_dir, "WARREN")
        text = marker.read_text(encoding="utf-8")
        newer = re.sub(r"(?i)(format[^\d]*)\d+", r"\g<1>999", text, count=1)
        self.assertNotEqual(newer, text)
        marker.write_text(newer, encoding="utf-8")
        self.assert_refused(broker, CANNOT_OPEN, "999")

    def test_damaged_marker(self):
        broker = self.stopped_store()
        pathlib.Path(broker.data_dir, "WARREN").write_bytes(b"\0\xff garbage")
        self.assert_refused(broker, CANNOT_OPEN, re.escape(broker.data_dir))

    @unittest.skipIf(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"),
                     "root may write everywhere and there is no setpriv")
    def test_read_only_directory(self):
        broker = self.broker()
        os.makedirs(broker.data_dir)
        os.chmod(broker.folder, 0o755)
        os.chmod(broker.data_dir, 0o555)
        if os.geteuid() == 0:
            broker.command = lambda command=broker.command: [
                "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                *command()]
        self.assert_refused(broker, CANNOT_OPEN, re.escape(broker.data_dir), "(?i)permission")

    def test_path_that_is_a_file(self):
        broker = self.broker()
        pathlib.Path(broker.data_dir).write_bytes(b"a file")
        code, output = broker.run_to_exit()
        self.assertEqual(code, CANNOT_OPEN, output)
        self.assertEqual(pathlib.Path(broker.data_dir).read_bytes(), b"a file")

    def test_second_broker_on_the_same_directory(self):
        first = self.broker()
        first.start()
        second = self.broker(data_dir=first.data_dir)
        code, output = second.run_to_exit()
        self.assertEqual(code, CANNOT_OPEN, output)
        self.assertEqual(len(self.error_lines(output)), 1, output)
        self.assertIn(str(first.pid), self.error_lines(output)[0])
        self.assertTrue(first.running())
        self.assertEqual(first.terminate(), 0)
        second.start()
        self.assertEqual(second.terminate(), 0)

    def test_lock_of_a_killed_broker_is_no_obstacle(self):
        broker = self.broker()
        broker.start()
        broker.kill()
        broker.start()
        self.assertEqual(broker.terminate(), 0)

    def test_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            broker = self.broker()
            broker.port = taken.getsockname()[1]
            code, output = broker.run_to_exit()
        self.assertEqual(code, CANNOT_LISTEN, output)
        self.assertEqual(len(self.error_lines(output)), 1, output)
        self.assertIn(str(broker.port), self.error_lines(output)[0])

    def test_bad_options(self):
        for options in (["--threads", "0"], ["--nonsense"], ["--listen", "nowhere"]):
            done = subprocess.run([PROGRAM, *options], capture_output=True, text=True, timeout=20,
                                  check=False)
            self.assertEqual(done.returncode, USAGE, done.stderr)
            self.assertIn(options[0], done.stderr)
            self.assertEqual(done.stdout, "")

    def test_an_environment_variable_that_is_empty_or_no_option_swallows_nothing(self):
        broker = self.broker()
        broker.environment = {"WARREN_DATA_DIR": "", "WARREN_LISTEN": "", "WARREN_DATADIR": "/x"}
        broker.start()
        self.assertEqual(broker.terminate(), 0)
        log = broker.log_path.read_text(encoding="utf-8")
        self.assertRegex(log, r"warn.* names=\S*\bWARREN_DATADIR\b")
        self.assertNotRegex(log, r"names=\S*\bWARREN_LISTEN\b")
        done = subprocess.run([pathlib.Path(PROGRAM).with_name("warren-dump"), "overview"],
                              env={"WARREN_DATA_DIR": ""}, cwd=broker.folder,
                              capture_output=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)  # ./data

    def test_help_and_version(self):
        for option, text in (("--help", "--data-dir"), ("--version", "warrend ")):
            done = subprocess.run([PROGRAM, option], capture_output=True, text=True, timeout=20,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(text, done.stdout)


def rights(folder):
    """The rights of a folder and of all below it: {path: mode}."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): stat.S_IMODE(os.stat(path).st_mode)
            for path in (folder, *folder.rglob("*"))}


class Rights(unittest.TestCase):
    """Messages are in all of these files: other users of the machine read none of them."""

    def setUp(self):
        self.addCleanup(os.umask, os.umask(0o022))
        self.broker = Broker()
        self.addCleanup(self.broker.close)
        os.chmod(self.broker.folder, 0o755)
        self.folder = pathlib.Path(self.broker.folder)
        self.data = pathlib.Path(self.broker.data_dir)

    def fill(self):
        """A log, tables and files of bodies."""
        self.broker.start()
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(self.broker.host, self.broker.port))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("secret", durable=True)
        for _ in range(20):
            channel.basic_publish("", "secret", os.urandom(200_000),
                                  pika.BasicProperties(delivery_mode=2))
        connection.close()
        self.broker.restart()

    def assert_narrow(self, folder, folder_mode=0o750, file_mode=0o640):
        modes = rights(folder)
        self.assertGreater(len(modes), 5)
        for path, mode in modes.items():
            wanted = folder_mode if pathlib.Path(folder, path).is_dir() else file_mode
            self.assertEqual(oct(mode), oct(wanted), path)

    def test_other_users_read_nothing_that_is_created(self):
        self.fill()
        self.assertTrue(list(self.data.glob("db/*.sst")))
        self.assertTrue(list(self.data.glob("db/*.blob")))
        self.assert_narrow(self.data)
        backups = self.folder / "backups"
        dump(self.data, "backup", str(backups))
        self.assert_narrow(backups)
        dump(self.folder / "restored", "restore", str(backups))
        self.assert_narrow(self.folder / "restored")
        exported = self.folder / "all.jsonl"
        dump(self.data, "export", "--users", "-o", str(exported))
        self.assertEqual(oct(stat.S_IMODE(os.stat(exported).st_mode)), "0o600")
        self.broker.terminate()
        dump(self.data, "import", "--keep", str(exported))
        self.assert_narrow(self.data)

    def test_a_narrower_umask_is_kept(self):
        os.umask(0o077)
        self.fill()
        self.assert_narrow(self.data, 0o700, 0o600)

    def test_what_is_there_keeps_its_rights(self):
        self.data.mkdir()
        os.chmod(self.data, 0o755)
        self.fill()
        modes = rights(self.data)
        self.assertEqual(oct(modes.pop(".")), "0o755")
        self.assertEqual({oct(mode) for mode in modes.values()}, {"0o750", "0o640"})
        for path in modes:
            os.chmod(self.data / path, 0o755 if (self.data / path).is_dir() else 0o644)
        os.chmod(self.data / "lock", 0o600)
        self.broker.restart()
        after = rights(self.data)
        for path in ("db", "db/IDENTITY", "WARREN"):
            self.assertEqual(oct(after[path]), "0o755" if path == "db" else "0o644", path)
        self.assertEqual(oct(after["lock"]), "0o600")


if __name__ == "__main__":
    run()
