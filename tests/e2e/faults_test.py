#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker whose disk fails, is slow or full, and whose clock jumps: it never confirms what it
could not keep, and nothing that was confirmed is missing afterwards."""

import errno
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from e2e_case import PERSISTENT, run
from fault_case import FaultCase

MEBI = 1 << 20
HOUR_MS = 3_600_000
ROUNDS = 6


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
