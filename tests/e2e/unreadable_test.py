#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker whose disk cannot read: what it cannot reach it holds up, and loses none of it."""

import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from dump_case import DUMP
from e2e_case import PERSISTENT, run
from fault_case import FaultCase
from faults import BLOBS, TABLES

ROUNDS = 6


class UnreadableDisk(FaultCase):
    """Reads fail: who needs them waits and goes on by itself, nobody else notices."""

    OPTIONS = ("--write-buffer-mb", "4", "--queue-window-kb", "64")
    COUNT = 400
    FILLING = 20_000

    def fill(self, queue):
        """Bodies begin with their number; the queue's name is in each, and the first is known."""
        channel = self.channel()
        channel.queue_declare(queue, durable=True)
        channel.tx_select()
        for number in range(self.COUNT):
            word = b"." if number else b"first"
            body = b"%d of %s %s" % (number, queue.encode(), word) + b"." * self.FILLING
            channel.basic_publish("", queue, body, PERSISTENT)
            if number % 40 == 39:
                channel.tx_commit()
        channel.connection.close()

    def blobs(self, *texts):
        """The files of bodies with all of these in them, oldest first."""
        files = sorted(pathlib.Path(self.broker.data_dir).glob("db/*.blob"))
        contents = {file: file.read_bytes() for file in files}
        return [file for file in files if all(text in contents[file] for text in texts)]

    def make(self):
        """Two queues on disk only, in files of their own."""
        broken, sound = self.name("broken"), self.name("sound")
        for queue in (broken, sound):
            self.fill(queue)
            self.assertEqual(self.broker.terminate(), 0)
            self.broker.start()
        return broken, sound

    def fail_reads_of(self, file):
        self.faults.read_inode = file.stat().st_ino
        self.faults.reads_left = 0

    def consume(self, queue):
        """A connection that consumes, and what it gets."""
        channel = self.channel()
        channel.basic_qos(prefetch_count=20)
        got = []

        def on_message(_, method, __, body):
            self.assertFalse(method.redelivered)
            got.append(int(body.split(b" ")[0]))
            channel.basic_ack(method.delivery_tag)

        channel.basic_consume(queue, on_message)
        return channel.connection, got

    def told(self, queue, what):
        return [line for line in self.broker.log_text().splitlines()
                if what in line and queue in line]

    def stand_still_and_go_on(self, broken, sound, file, first):
        """`first`: how many come before reads fail; None: some."""
        connection, got = self.consume(broken)
        failed = self.faults.reads_refused
        self.wait_for("retries", lambda: self.faults.reads_refused >= failed + 3, connection)
        if first is None:
            self.assertIn(len(got), range(1, self.COUNT))
        else:
            self.assertEqual(len(got), first)
        # Others do not notice, whether they are on disk or in memory.
        self.assertEqual(self.drain(sound), list(range(self.COUNT)))
        channel = self.channel()
        memory = self.queue(channel, durable=True)
        channel.basic_publish("", memory, b"now", PERSISTENT)
        self.assertEqual(self.bodies(channel, memory, 1), [b"now"])
        told = self.told(broken, "queue cannot be read")
        self.assertEqual(len(told), 1, told)
        self.assertIn(file.name, told[0])
        self.assertIn("warren-dump check", told[0])
        self.faults.calm_down()
        self.wait_for("the rest", lambda: len(got) == self.COUNT, connection)
        self.assertEqual(got, list(range(self.COUNT)))
        self.assertEqual(len(self.told(broken, "queue can be read again")), 1)
        connection.process_data_events(0.1)
        connection.close()
        self.assertEqual(self.drain(broken), [])
        self.assertEqual(self.broker.terminate(), 0)

    def test_a_queue_waits_for_its_head_and_others_go_on(self):
        broken, sound = self.make()
        file = self.blobs(broken.encode() + b" first")[0]
        self.assertNotIn(file, self.blobs(sound.encode()))
        self.fail_reads_of(file)
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            self.channel().basic_get(broken)
        self.assertEqual(caught.exception.reply_code, 541)
        self.assertIn("cannot be read", caught.exception.reply_text)
        self.stand_still_and_go_on(broken, sound, file, 0)

    def test_a_queue_goes_as_far_as_it_can_be_read(self):
        broken, sound = self.make()
        first = self.blobs(broken.encode() + b" first")
        file = [each for each in self.blobs(broken.encode()) if each not in first][-1]
        self.assertNotIn(file, self.blobs(sound.encode()))
        self.fail_reads_of(file)
        self.stand_still_and_go_on(broken, sound, file, None)

    def test_a_queue_that_cannot_be_read_can_be_purged(self):
        broken, _ = self.make()
        self.faults.read_kinds = BLOBS
        self.faults.read_delay_us = 1_000_000
        self.faults.reads_left = 0
        channel = self.channel()
        connection, got = self.consume(broken)
        self.wait_for("a read", lambda: self.faults.reads_refused > 0, connection)
        # It waits for the read that is under way, and needs none of its own.
        self.assertEqual(channel.queue_purge(broken).method.message_count, self.COUNT)
        channel.basic_publish("", broken, b"7 new", PERSISTENT)
        self.wait_for("the new one", lambda: got, connection)
        self.assertEqual(got, [7])

    def test_tables_that_cannot_be_read_hold_up_whom_they_concern(self):
        broken, sound = self.make()
        self.faults.read_kinds = TABLES
        self.faults.reads_left = 0
        connection, got = self.consume(broken)
        self.wait_for("failures", lambda: self.faults.reads_refused > 3, connection)
        self.assertEqual(got, [])
        channel = self.channel()
        memory = self.queue(channel, durable=True)
        channel.basic_publish("", memory, b"now", PERSISTENT)
        self.assertEqual(self.bodies(channel, memory, 1), [b"now"])
        self.faults.calm_down()
        self.wait_for("all", lambda: len(got) == self.COUNT, connection)
        self.assertEqual(got, list(range(self.COUNT)))
        self.assertEqual(self.drain(sound), list(range(self.COUNT)))

    def test_a_start_that_cannot_read_is_refused_and_changes_nothing_that_counts(self):
        broken, sound = self.make()
        last = self.name("last")
        self.fill(last)
        self.broker.kill()
        refused = 0
        for reads in [*range(12), *sorted(random.sample(range(12, 120), ROUNDS))]:
            self.faults.reads_left = reads
            self.faults.reads_refused = 0
            try:
                self.broker.start()
            except RuntimeError as left:
                said = str(left)
                self.assertIn("warrend left with 3", said)
                self.assertIn("cannot start", said)
                self.assertIn("Input/output error", said)
                self.assertIn(self.broker.data_dir, said)
                refused += 1
            else:
                self.faults.calm_down()
                self.broker.kill()
        self.assertGreater(refused, 5)
        self.restart()
        for queue in (broken, sound, last):
            self.assertEqual(self.drain(queue), list(range(self.COUNT)))

    def test_a_sector_that_cannot_be_read_is_repaired_around(self):
        queue = self.name()
        channel = self.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True)
        for number in range(500):  # a chunk each
            channel.basic_publish("", queue, b"%d " % number + b"." * 1000, PERSISTENT)
        channel.connection.close()
        self.broker.restart()  # what is in the log becomes tables
        self.broker.terminate()
        tables = pathlib.Path(self.broker.data_dir).glob("db/*.sst")
        table = max(tables, key=lambda each: each.stat().st_size)
        self.faults.read_offset = 6000
        self.fail_reads_of(table)
        kept = pathlib.Path(self.broker.folder, "kept.jsonl")

        def dump(*arguments):
            done = subprocess.run(
                [DUMP, "--data-dir", self.broker.data_dir, "--json", *arguments],
                env={**os.environ, **self.broker.environment}, capture_output=True, timeout=60,
                check=False)
            return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

        code, found = dump("check")
        self.assertEqual(code, 1)
        self.assertIn(f"table {table.name}", [row.get("where") for row in found])
        self.assertIn("cannot be read", str(found))
        code, done = dump("repair", "--quarantine", str(kept))
        self.assertEqual(code, 0, done)
        self.assertTrue(pathlib.Path(f"{kept}.{table.name}").exists())
        self.assertFalse(table.exists())
        self.assertEqual(dump("check")[0], 0)
        self.restart()
        left = self.drain(queue)
        self.assertEqual(len(left), 500 - done[-1]["lost_at_least"])
        self.assertIn(len(left), range(250, 500))

    def test_a_compaction_that_cannot_read_is_given_up_and_the_broker_goes_on(self):
        # Tables of one queue only would be moved, not read.
        queues = [self.name(), self.name()]
        for queue in queues:
            self.channel().queue_declare(queue, durable=True)
        publishers = [self.publisher(queue, filling=3000) for queue in queues]
        said = lambda: [line for line in self.broker.log_text().splitlines()
                        if "its family is not compacted any more" in line]
        chosen = None

        def met():
            """A table that is read no more: another one if it was compacted before. The oldest: the
            newest one is being written, and a flush that cannot read what it wrote is S10."""
            nonlocal chosen
            if not said() and (chosen is None or not chosen.exists()):
                tables = sorted(pathlib.Path(self.broker.data_dir).glob("db/*.sst"))
                if len(tables) > 1:
                    chosen = tables[0]
                    with contextlib.suppress(FileNotFoundError):
                        self.fail_reads_of(chosen)
            return said()

        self.wait_for("a compaction", met, seconds=60)
        self.assertIn(chosen.name, said()[0])
        confirmed = len(publishers[0].confirmed)
        self.wait_for("confirms", lambda: len(publishers[0].confirmed) > confirmed + 5000,
                      seconds=60)
        self.assertEqual(len(said()), 1)
        for publisher in publishers:
            publisher.stop()
        self.broker.kill()
        self.restart()
        for queue, publisher in zip(queues, publishers):
            self.assertEqual(self.drain(queue), list(range(publisher.sent)))

    def test_a_compaction_or_flush_that_cannot_read_loses_nothing(self):
        for round_number in range(ROUNDS):
            with self.subTest(round=round_number):
                queue = self.name()
                self.channel().queue_declare(queue, durable=True)
                publisher = self.publisher(queue, filling=3000)
                self.wait_for("confirms", lambda: len(publisher.confirmed) > 100)
                self.faults.read_kinds = TABLES
                self.faults.reads_left = random.randrange(60)
                confirmed = len(publisher.confirmed)
                self.wait_for("a failure, and some more", lambda: not publisher.running() or (
                    self.faults.reads_refused > 0 and
                    len(publisher.confirmed) > confirmed + 5000), seconds=60)
                if self.broker.running():
                    self.broker.kill()
                publisher.join()
                self.assertIn(self.broker.process.wait(20), (1, -6, -9))
                self.restart()
                self.assert_kept(publisher, self.drain(queue))


if __name__ == "__main__":
    run()
