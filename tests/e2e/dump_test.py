#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""warren-dump looks into the stores of real brokers: running, under load, killed, stopped."""

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika

from bash_completion import completed
from broker_process import ROOT
from dump_case import DUMP, DUMP_SECONDS, StoreCase, dump, dump_lines, fingerprint
from e2e_case import PERSISTENT, run

READING = (["overview"], ["families"], ["vhosts"], ["exchanges"], ["queues"], ["bindings"],
           ["users"], ["permissions"], ["check"], ["stats"], ["export"], ["export", "--users"])


class Looking(StoreCase):
    def test_what_a_running_broker_has_is_seen_at_once(self):
        channel = self.confirming()
        queue = self.name()
        channel.exchange_declare("shown", "topic", durable=True)
        channel.queue_declare(queue, durable=True, arguments={"x-note": "n"})
        channel.queue_bind(queue, "shown", "a.*")
        self.fill(channel, queue, [b"one", b"two", b"three"])
        facts = dump_lines(self.data, "overview")[0]
        self.assertEqual(facts["held_by_pid"], self.broker.pid)
        self.assertFalse(facts["clean_stop"])
        rows = {row["queue"]: row for row in dump_lines(self.data, "queues")}
        self.assertEqual(rows[queue]["messages"], 3)
        self.assertEqual(rows[queue]["arguments"], {"x-note": "n"})
        self.assertIn({"vhost": "/", "source": "shown", "to": "queue", "destination": queue,
                       "routing_key": "a.*", "arguments": {}}, dump_lines(self.data, "bindings"))
        self.assertIn("topic", [row["type"] for row in dump_lines(self.data, "exchanges")])
        bodies = [row["body"] for row in dump_lines(self.data, "messages", queue)]
        self.assertEqual(bodies, ["one", "two", "three"])
        self.bodies(channel, queue, 1)
        self.wait_for("the ack on disk",
                      lambda: len(dump_lines(self.data, "messages", queue)) == 2)

    def test_no_hash_is_shown(self):
        rows = dump(self.data, "users")
        self.assertIn(b"guest", rows)
        exported = dump(self.data, "export", "--users")
        stored = json.loads(next(line for line in exported.splitlines() if b'"user"' in line))
        self.assertNotIn(stored["password_hash"].encode(), rows)
        self.assertNotIn(b"password_hash", dump(self.data, "export"))

    def test_messages_are_chosen_and_shown(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        for number in range(1, 301):
            channel.basic_publish("", queue, b"\x00\xff%d" % number, pika.BasicProperties(
                delivery_mode=2, message_id=f"id-{number}", content_type="text/plain",
                headers={"third": number % 3 == 0, "n": number}))
        take = lambda *options: [row["properties"]["headers"]["n"] for row in
                                 dump_lines(self.data, "messages", queue, *options)]
        self.assertEqual(take(), list(range(1, 301)))
        self.assertEqual(take("--limit", "2"), [1, 2])
        self.assertEqual(take("--from", "250", "--limit", "3"), [250, 251, 252])
        self.assertEqual(take("--id", "id-77"), [77])
        self.assertEqual(take("--header", "third=true", "--limit", "2"), [3, 6])
        self.assertEqual(take("--header", "third=true", "--header", "n=9"), [9])
        self.assertEqual(take("--key", queue, "--limit", "1"), [1])
        self.assertEqual(take("--key", "other"), [])
        self.assertEqual(take("--newer", "1h", "--limit", "1"), [1])
        self.assertEqual(take("--older", "1h"), [])
        self.assertEqual(dump(self.data, "messages", queue, "--format", "raw", "--limit", "2"),
                         b"\x00\xff1\x00\xff2")
        self.assertIn(b"00 ff 31", dump(self.data, "messages", queue, "--format", "hex",
                                        "--limit", "1"))
        self.assertIn(b"id-300", dump(self.data, "messages", queue))

    def test_after_a_kill_the_store_shows_what_was_confirmed(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        bodies = [b"%d" % number for number in range(500)]
        self.fill(channel, queue, bodies)
        self.broker.kill()
        before = fingerprint(self.data)
        self.assertIsNone(dump_lines(self.data, "overview")[0]["held_by_pid"])
        shown = [row["body"].encode() for row in dump_lines(self.data, "messages", queue)]
        self.assertEqual(shown, bodies)
        dump(self.data, "check")
        self.assertEqual(fingerprint(self.data), before)
        self.broker.start()
        self.assertEqual(self.bodies(self.channel(), queue, 500), bodies)

    def test_no_command_that_reads_changes_anything(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill(channel, queue, [b"x" * 5000] * 50)
        for stop in (self.broker.kill, self.broker.terminate):
            stop()
            before = fingerprint(self.data)
            for command in READING:
                dump(self.data, *command)
                dump(self.data, "--json", *command)
            dump(self.data, "messages", queue, "--format", "hex")
            dump(self.data, "backup", str(self.folder / f"backups-{stop.__name__}"))
            dump(self.data, "repair", "--dry-run")
            self.assertEqual(fingerprint(self.data), before)
            self.broker.start()

    def test_every_command_is_documented(self):
        shown = dump(self.data, "--help").decode()
        commands = re.findall(r"^  ([a-z]+) ", shown[shown.index("Subcommands:"):], re.M)
        self.assertGreater(len(commands), 15)
        document = (ROOT / "docs" / "dump.md").read_text(encoding="utf-8")
        for command in commands:
            self.assertRegex(document, rf"\b{command}\b")

    def test_numbers_at_the_edge_end(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill(channel, queue, [b"one", b"two"])
        for last in (2**63, 2**64 - 1):
            self.assertEqual(dump_lines(self.data, "messages", queue, "--from", str(last)), [])
        self.assertEqual(len(dump_lines(self.data, "messages", queue, "--from", "0")), 2)
        for command in ("messages", "export"):
            for option in ("--from", "--limit"):
                for value in ("-1", str(2**64), "1.5"):
                    dump(self.data, command, queue, option, value, code=2)

    def test_an_export_that_cannot_be_created_says_why(self):
        there = self.folder / "there.jsonl"
        there.write_text("mine", encoding="ascii")
        for path, why in ((there, "File exists"),
                          (self.folder / "nope" / "x", "No such file or directory")):
            done = subprocess.run([DUMP, "-d", self.data, "export", "-o", str(path)],
                                  capture_output=True, timeout=DUMP_SECONDS, check=False, text=True)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertEqual(done.stderr, f"warren-dump: cannot create '{path}': {why}\n")
        self.assertEqual(there.read_text(encoding="ascii"), "mine")

    def test_exit_codes_and_help(self):
        self.assertIn(b"Subcommands", dump(self.data, "--help"))
        for command in ("messages", "export", "repair", "backup"):
            self.assertIn(b"Options", dump(self.data, command, "--help"))
        for typed, told in (("no-such-command", "'no-such-command' is no command"),
                            ("--bogus", "'--bogus' is no option of all commands")):
            done = subprocess.run([DUMP, "-d", self.data, typed], capture_output=True,
                                  timeout=DUMP_SECONDS, check=False, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)
        dump(self.data, code=2)
        dump(self.data, "messages", code=2)
        dump(self.data, "messages", "q", "--newer", "soon", code=2)
        dump(self.data, "messages", "no such queue", code=1)
        dump(self.folder / "nothing", "overview", code=3)
        self.assertFalse((self.folder / "nothing").exists())
        (self.folder / "foreign").mkdir(exist_ok=True)
        (self.folder / "foreign" / "file").write_text("x", encoding="ascii")
        done = subprocess.run([DUMP, "-d", self.folder / "foreign", "check"], capture_output=True,
                              timeout=DUMP_SECONDS, check=False, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn("holds no Warren store", done.stderr)
        self.assertNotIn("empty directory", done.stderr)  # what a broker would want

    def test_bash_completes_commands_and_options(self):
        script = dump(self.data, "completion").decode()
        for typed, wanted in (("warren-dump over", "overview"),
                              ("warren-dump messages q --lim", "--limit"),
                              ("warren-dump messages q --data", "--data-dir"),
                              ("warren-dump messages q --format j", "json"),
                              ("warren-dump -d x backup --ke", "--keep"),
                              ("warren-dump --data-dir /de", "/dev")):
            self.assertIn(wanted, completed(script, typed), typed)
        self.assertNotIn("--limit", completed(script, "warren-dump check --"))


class Memory(StoreCase):
    OPTIONS = ("--write-buffer-mb", "4")

    def test_memory_does_not_grow_with_the_queue(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        for _ in range(100):
            self.fill(channel, queue, [os.urandom(1 << 20)])
        # In a process of its own: a child starts with the peak of its parent.
        measure = ("import resource, subprocess, sys\n"
                   "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
                   "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        for command in (["check"], ["stats"], ["messages", queue, "--id", "none"]):
            done = subprocess.run([sys.executable, "-c", measure, DUMP, "-d", self.data, *command],
                                  capture_output=True, timeout=DUMP_SECONDS, check=True)
            self.assertLess(int(done.stdout) / 1024, 60, command)


class Load(threading.Thread):
    """Publishes with confirms to one queue, and consumes from another, until told to stop."""

    def __init__(self, broker, queue):
        super().__init__(daemon=True)
        self.broker, self.queue = broker, queue
        self.confirmed, self.sent = [], []
        self.stopping = threading.Event()
        self.error = None

    def run(self):
        try:
            connection = pika.BlockingConnection(
                pika.ConnectionParameters(self.broker.host, self.broker.port, heartbeat=0))
            channel = connection.channel()
            channel.confirm_delivery()
            number = 0
            while not self.stopping.is_set():
                number += 1
                body = b"%d %s" % (number, b"." * (number % 3000))
                self.sent.append(body)
                channel.basic_publish("", self.queue, body, PERSISTENT)
                self.confirmed.append(body)
                channel.basic_publish("", self.queue + ".churn", body, PERSISTENT)
                channel.basic_get(self.queue + ".churn", auto_ack=True)
            connection.close()
        except Exception as error:  # shown by the test
            self.error = error


class UnderLoad(StoreCase):
    def start_load(self):
        queue = self.name()
        channel = self.channel()
        channel.queue_declare(queue, durable=True)
        channel.queue_declare(queue + ".churn", durable=True)
        load = Load(self.broker, queue)
        load.start()
        self.addCleanup(load.stopping.set)
        self.wait_for("load", lambda: len(load.confirmed) > 20 or load.error)
        return load

    def stop_load(self, load):
        load.stopping.set()
        load.join(20)
        self.assertIsNone(load.error)

    def test_every_moment_of_a_running_store_fits(self):
        load = self.start_load()
        for _ in range(15):
            confirmed = len(load.confirmed)
            dump(self.data, "check")
            row = next(row for row in dump_lines(self.data, "queues")
                       if row["queue"] == load.queue)
            self.assertGreaterEqual(row["messages"], confirmed)
        self.stop_load(load)

    def test_a_backup_has_every_message_confirmed_before_it(self):
        load = self.start_load()
        backups = self.folder / "backups-load"
        moments = []
        for _ in range(4):
            before = list(load.confirmed)
            made = dump_lines(self.data, "backup", str(backups))[0]
            moments.append((made["backup"], before, list(load.sent)))
            time.sleep(0.2)
        self.stop_load(load)
        for number, before, sent in moments:
            dump(self.data, "verify", str(backups), "--id", str(number))
            target = self.folder / f"restored-{number}"
            dump(target, "restore", str(backups), "--id", str(number))
            dump(target, "check")
            broker = self.restored(target)
            bodies = [body for _, body in self.drain(broker, load.queue)]
            self.assertEqual(bodies[:len(before)], before, "a confirmed message is missing")
            self.assertEqual(bodies, sent[:len(bodies)], "a message that was never sent")
            broker.close()
        self.assertGreater(len(moments[-1][1]), len(moments[0][1]))

    def test_no_backup_lies_in_a_data_directory(self):
        before = fingerprint(self.data).keys()
        for inside in (".", "bk", "db/bk", "../data/bk"):
            done = subprocess.run([DUMP, "-d", ".", "backup", inside], cwd=self.data, text=True,
                                  capture_output=True, timeout=DUMP_SECONDS, check=False)
            self.assertEqual(done.returncode, 1, inside)
            self.assertIn("data directory", done.stderr)
        self.assertEqual(fingerprint(self.data).keys(), before)

    def test_the_next_backup_copies_only_what_is_new(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        for _ in range(80):
            self.fill(channel, queue, [os.urandom(1 << 20)])
        backups = self.folder / "backups-incremental"
        size = lambda: sum(path.stat().st_size for path in backups.rglob("*") if path.is_file())
        dump(self.data, "backup", str(backups))
        first = size()
        self.fill(channel, queue, [b"one more"])
        dump(self.data, "backup", str(backups))
        self.assertGreater(first, 80 << 20)
        self.assertLess(size() - first, 60 << 20)
        dump(self.data, "backup", "--keep", "1", str(backups))
        self.assertEqual(len(dump_lines(self.data, "backups", str(backups))), 1)
        dump(self.data, "verify", str(backups))


if __name__ == "__main__":
    run()
