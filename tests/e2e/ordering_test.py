#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Order, prefetch and redelivery, as a consumer sees them."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from e2e_case import PERSISTENT, BrokerCase, run


class Consuming(BrokerCase):
    def filled(self, channel, count, **arguments):
        queue = self.queue(channel, **arguments)
        for number in range(count):
            channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
        return queue

    def collect(self, channel, queue, prefetch=0):
        got = []
        channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(queue, lambda ch, method, props, body: got.append(
            (int(body), method.delivery_tag, method.redelivered)))
        return got


class Ordering(Consuming):
    # B1, first half.
    def test_first_deliveries_are_in_publish_order(self):
        channel = self.channel()
        queue = self.filled(channel, 2000, durable=True)
        got = self.collect(channel, queue)
        self.wait_for("deliveries", lambda: len(got) == 2000, channel.connection)
        self.assertEqual(got, [(n, n + 1, False) for n in range(2000)])

    # B1, second half; B4.
    def test_requeued_message_returns_to_its_place_and_is_flagged(self):
        for settle in ("basic_nack", "basic_reject"):
            channel = self.channel()
            queue = self.filled(channel, 4)
            taken = self.take(channel, queue, 3, auto_ack=False)
            getattr(channel, settle)(taken[1][0].delivery_tag, requeue=True)
            channel.basic_ack(taken[0][0].delivery_tag)
            got = self.take(channel, queue, 2)
            self.assertEqual([(body, method.redelivered) for method, _, body in got],
                             [(b"1", True), (b"3", False)])

    def test_closing_the_channel_returns_what_was_not_acked_in_order(self):
        channel = self.channel()
        queue = self.filled(channel, 6, durable=True)
        taken = self.take(channel, queue, 4, auto_ack=False)
        channel.basic_ack(taken[1][0].delivery_tag)
        channel.close()
        other = self.channel()
        got = self.take(other, queue, 5)
        self.assertEqual([(body, method.redelivered) for method, _, body in got],
                         [(b"0", True), (b"2", True), (b"3", True), (b"4", False), (b"5", False)])

    def test_nack_multiple_returns_a_range(self):
        channel = self.channel()
        queue = self.filled(channel, 5)
        taken = self.take(channel, queue, 4, auto_ack=False)
        channel.basic_nack(taken[2][0].delivery_tag, multiple=True, requeue=True)
        self.assertEqual(self.bodies(channel, queue, 4), [b"0", b"1", b"2", b"4"])

    def test_ack_multiple_settles_a_range(self):
        channel = self.channel()
        queue = self.filled(channel, 5)
        taken = self.take(channel, queue, 5, auto_ack=False)
        channel.basic_ack(taken[3][0].delivery_tag, multiple=True)
        channel.close()
        self.assertEqual(self.bodies(self.channel(), queue, 1), [b"4"])

    def test_reject_without_requeue_drops(self):
        channel = self.channel()
        queue = self.filled(channel, 2, durable=True)
        taken = self.take(channel, queue, 1, auto_ack=False)
        channel.basic_reject(taken[0][0].delivery_tag, requeue=False)
        self.assertEqual(self.bodies(channel, queue, 1), [b"1"])
        self.assert_empty(channel, queue)

    def test_recover_requeues_everything_unacked(self):
        channel = self.channel()
        queue = self.filled(channel, 3)
        self.take(channel, queue, 2, auto_ack=False)
        channel.basic_recover(requeue=True)
        got = self.take(channel, queue, 3)
        self.assertEqual([(body, method.redelivered) for method, _, body in got],
                         [(b"0", True), (b"1", True), (b"2", False)])


class Prefetch(Consuming):
    # B3.
    def test_no_more_than_prefetch_is_unacked(self):
        channel = self.channel()
        queue = self.filled(channel, 20)
        got = self.collect(channel, queue, prefetch=3)
        self.wait_for("the first three", lambda: len(got) == 3, channel.connection)
        channel.connection.process_data_events(0.2)
        self.assertEqual([number for number, _, _ in got], [0, 1, 2])
        channel.basic_ack(got[1][1])
        self.wait_for("the fourth", lambda: len(got) == 4, channel.connection)
        channel.basic_ack(got[3][1], multiple=True)
        self.wait_for("three more", lambda: len(got) == 7, channel.connection)
        channel.connection.process_data_events(0.2)
        self.assertEqual([number for number, _, _ in got], list(range(7)))

    def test_prefetch_is_per_consumer(self):
        channel = self.channel()
        queue = self.filled(channel, 20)
        first = self.collect(channel, queue, prefetch=2)
        second = self.collect(channel, queue, prefetch=4)
        self.wait_for("both full", lambda: (len(first), len(second)) == (2, 4), channel.connection)
        channel.connection.process_data_events(0.2)
        self.assertEqual((len(first), len(second)), (2, 4))

    def test_global_prefetch_is_shared_by_the_channel(self):
        channel = self.channel()
        queue = self.filled(channel, 20)
        channel.basic_qos(prefetch_count=5, global_qos=True)
        got = []
        for _ in range(2):
            channel.basic_consume(queue, lambda ch, method, props, body: got.append(method))
        self.wait_for("five", lambda: len(got) == 5, channel.connection)
        channel.connection.process_data_events(0.2)
        self.assertEqual(len(got), 5)
        channel.basic_ack(got[-1].delivery_tag, multiple=True)
        self.wait_for("five more", lambda: len(got) == 10, channel.connection)

    def test_cancel_keeps_what_was_delivered(self):
        channel = self.channel()
        queue = self.filled(channel, 5)
        got = []
        channel.basic_qos(prefetch_count=2)
        tag = channel.basic_consume(queue, lambda ch, method, props, body: got.append(method))
        self.wait_for("two", lambda: len(got) == 2, channel.connection)
        self.assertEqual(channel.basic_cancel(tag), [])
        self.assertEqual(channel.queue_declare(queue, passive=True).method.message_count, 3)
        channel.basic_ack(got[1].delivery_tag, multiple=True)
        self.assertEqual(self.bodies(channel, queue, 3), [b"2", b"3", b"4"])


if __name__ == "__main__":
    run()
