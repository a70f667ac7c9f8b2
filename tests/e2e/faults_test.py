#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker whose disk fails, is slow or full, and whose clock jumps: it never confirms what it
could not keep, and nothing that was confirmed is missing afterwards."""

import contextlib
import errno
import json
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from broker_process import Broker
from dump_case import DUMP
from e2e_case import PERSISTENT, BrokerCase, run
from faults import BLOBS, TABLES, Faults
from steady_publisher import SteadyPublisher

MEBI = 1 << 20
HOUR_MS = 3_600_000
ROUNDS = 6


class FaultCase(BrokerCase):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        """Each case has a broker of its own."""

    def setUp(self):
        self.broker = Broker(*self.OPTIONS)
        self.addCleanup(self.broker.close)
        self.faults = Faults(self.broker)
        self.broker.start()

    def publisher(self, queue, **options):
        return SteadyPublisher(self.parameters(), queue, **options)

    def restart(self):
        self.faults.calm_down()
        self.broker.start()

    def drain(self, queue, to_the_end=True):
        """The numbers that are in the queue when it begins, in order, none of them twice. With
        `to_the_end` nobody may publish meanwhile."""
        channel = self.channel()
        channel.basic_qos(prefetch_count=500)
        ready = channel.queue_declare(queue, passive=True).method.message_count
        numbers = []
        if ready:
            for method, _, body in channel.consume(queue, inactivity_timeout=20):
                self.assertIsNotNone(method, f"{len(numbers)} of {ready} messages")
                numbers.append(int(body.split(b" ")[0]))
                channel.basic_ack(method.delivery_tag)
                if len(numbers) == ready:
                    break
            channel.cancel()
        if to_the_end:
            self.assert_empty(channel, queue)
        channel.connection.close()
        self.assertEqual(numbers, sorted(set(numbers)))
        return numbers

    def assert_kept(self, publisher, numbers):
        lost = sorted(set(publisher.confirmed) - set(numbers))
        self.assertEqual(lost, [], f"{len(lost)} confirmed messages are lost")


class FailingDisk(FaultCase):
    """S10: whatever fails, nothing is confirmed from then on, the broker leaves, and the next start
    finds all that was confirmed before."""

    @staticmethod
    def drawn(below):
        """How much goes well before, for each round: the subtest is named after it."""
        return [random.randrange(below) for _ in range(ROUNDS)]

    def fail_under_load(self, **fault):
        queue = self.name()
        self.channel().queue_declare(queue, durable=True)
        publisher = self.publisher(queue)
        self.wait_for("confirms", lambda: len(publisher.confirmed) > 100)
        for name, value in fault.items():
            setattr(self.faults, name, value)
        publisher.join()
        code = self.broker.process.wait(20)
        self.assertIn(code, (1, -6), "RocksDB as Debian builds it may abort first")
        self.assertGreater(self.faults.refused, 0)
        self.restart()
        self.assert_kept(publisher, self.drain(queue))

    def test_a_failed_fsync(self):
        for syncs_left in self.drawn(30):
            with self.subTest(syncs_left=syncs_left):
                # Slow, so that what is confirmed too early arrives before the end.
                self.fail_under_load(sync_delay_us=20_000, syncs_left=syncs_left)

    def test_a_failed_write(self):
        for writes_left in self.drawn(100):
            with self.subTest(writes_left=writes_left):
                self.fail_under_load(writes_left=writes_left)

    def test_a_write_without_space(self):
        for writes_left in self.drawn(100):
            with self.subTest(writes_left=writes_left):
                self.fail_under_load(error=errno.ENOSPC, writes_left=writes_left)


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


class SlowDisk(FaultCase):
    def test_nothing_is_lost_or_confirmed_early_on_a_slow_disk(self):
        channel = self.channel()
        kept, flow = self.name("kept"), self.name("flow")
        for queue in (kept, flow):
            channel.queue_declare(queue, durable=True)
        self.faults.sync_delay_us = 50_000
        keeping, flowing = self.publisher(kept), self.publisher(flow, window=1000)
        channel.basic_qos(prefetch_count=50)
        seen = []
        for method, _, body in channel.consume(flow, inactivity_timeout=20):
            self.assertIsNotNone(method, "a delivery")
            self.assertFalse(method.redelivered)
            seen.append(int(body.split(b" ")[0]))
            channel.basic_ack(method.delivery_tag)
            if len(seen) >= 3000 and len(keeping.confirmed) >= 1000:
                break
        self.assertEqual(seen, list(range(len(seen))))
        self.broker.kill()
        keeping.join()
        flowing.join()
        self.restart()
        self.assert_kept(keeping, self.drain(kept))
        self.assert_kept(flowing, self.drain(flow) + seen)


class SmallDisk(FaultCase):
    """A disk of 320 MiB, and a limit that leaves room for what is under way."""

    OPTIONS = ("--disk-free-limit", str(160 * MEBI))
    SIZE = 320 * MEBI

    def test_publishers_are_blocked_before_it_is_full_and_go_on_by_themselves(self):
        self.faults.disk_bytes = self.SIZE
        queue = self.name()
        self.channel().queue_declare(queue, durable=True)
        publisher = self.publisher(queue, filling=20_000, window=100)
        numbers = []
        for round_number in range(2):
            told = 2 * round_number + 1
            self.wait_for("blocked", lambda: len(publisher.blocked) >= told, seconds=60)
            self.assertEqual(publisher.blocked[-1], "low on disk")
            self.assertTrue(self.broker.running())
            # The publisher goes on as soon as there is room again, which may be in between.
            numbers += self.drain(queue, to_the_end=False)
            self.wait_for("unblocked", lambda: len(publisher.blocked) > told, seconds=60)
        publisher.stop()
        self.assertEqual(publisher.nacked, [])
        self.assertEqual(self.faults.refused, 0)
        self.assertEqual(self.broker.terminate(), 0)
        self.broker.start()
        numbers += self.drain(queue)
        self.assertEqual(numbers, list(range(publisher.sent)))


class FullDisk(FaultCase):
    """Without the alarm: the disk runs full under the broker."""

    OPTIONS = ("--disk-free-limit", "0")

    def test_a_full_disk_stops_the_broker_and_loses_nothing(self):
        self.faults.disk_bytes = 192 * MEBI
        queue = self.name()
        self.channel().queue_declare(queue, durable=True)
        publisher = self.publisher(queue, filling=20_000, window=100)
        publisher.join(120)
        self.assertIn(self.broker.process.wait(20), (1, -6))
        # As long as it is full, a start is refused, and changes nothing.
        code, said = self.broker.run_to_exit()
        self.assertEqual(code, 3, said)
        self.assertIn("bytes free", said)
        self.restart()
        self.assert_kept(publisher, self.drain(queue))


class JumpingClock(FaultCase):
    def test_jumps_of_the_wall_clock_lose_nothing_and_close_nobody(self):
        channel = self.connect(heartbeat=2).channel()
        queue = self.queue(channel, durable=True)
        publisher = self.publisher(queue)
        for offset in (HOUR_MS, -HOUR_MS, 30 * 24 * HOUR_MS, 0):
            told = len(publisher.confirmed)
            self.faults.wall_offset_ms = offset
            self.wait_for("confirms", lambda: len(publisher.confirmed) > told + 500,
                          channel.connection)
            channel.connection.process_data_events(1)
        channel.queue_declare(queue, passive=True, durable=True)
        publisher.stop()
        self.assertEqual(self.drain(queue), list(range(publisher.sent)))

    def test_time_to_live_follows_the_wall_clock(self):
        channel = self.channel()
        channel.confirm_delivery()
        queue = self.queue(channel, durable=True)
        for body, expiration in ((b"minute", "60000"), (b"for ever", None), (b"day", "86400000")):
            channel.basic_publish("", queue, body, pika.BasicProperties(
                delivery_mode=2, expiration=expiration))
        self.faults.wall_offset_ms = HOUR_MS
        self.assertEqual(self.bodies(channel, queue, 2), [b"for ever", b"day"])
        self.assert_empty(channel, queue)

    def test_a_clock_set_back_gives_messages_more_time_and_new_ones_theirs(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        count = lambda: channel.queue_declare(queue, passive=True).method.message_count
        soon = pika.BasicProperties(delivery_mode=2, expiration="5000")
        channel.basic_publish("", queue, b"old", PERSISTENT)
        channel.basic_publish("", queue, b"before the jump", soon)
        self.wait_for("two messages", lambda: count() == 2)
        self.faults.wall_offset_ms = -HOUR_MS
        channel.basic_publish("", queue, b"after the jump", soon)
        self.wait_for("three messages", lambda: count() == 3)
        self.wait_for("the new one is gone", lambda: count() == 2)
        self.broker.restart("kill")
        channel = self.channel()
        self.assertEqual(self.bodies(channel, queue, 2), [b"old", b"before the jump"])

    def test_delayed_messages_follow_the_wall_clock(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        exchange = self.name("delayed")
        channel.exchange_declare(exchange, "x-delayed-message", durable=True,
                                 arguments={"x-delayed-type": "fanout"})
        channel.queue_bind(queue, exchange)
        for body, delay in ((b"minute", 60_000), (b"day", 24 * HOUR_MS)):
            channel.basic_publish(exchange, "", body, pika.BasicProperties(
                delivery_mode=2, headers={"x-delay": delay}))
        self.wait_for("both are kept", lambda: self.publishes_arrived(channel))
        self.faults.wall_offset_ms = HOUR_MS
        self.assertEqual(self.bodies(channel, queue, 1), [b"minute"])
        self.assert_empty(channel, queue)
        channel.exchange_delete(exchange)

    def publishes_arrived(self, channel):
        """What the channel published is with its queues: a synchronous method came back."""
        channel.basic_qos(prefetch_count=10)
        return True


if __name__ == "__main__":
    run()
