#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What survives a stop (SIGTERM) and a kill (kill -9), and what must not."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika

from e2e_case import PERSISTENT, BrokerCase, close_quietly, run

TRANSIENT = pika.BasicProperties(delivery_mode=1)


class Restarts(BrokerCase):
    HOW = "terminate"

    def confirming(self):
        channel = self.channel()
        channel.confirm_delivery()
        return channel

    def fill(self, channel, queue, count, first=0, properties=PERSISTENT):
        for number in range(first, first + count):
            channel.basic_publish("", queue, b"%d" % number, properties)

    def restart(self, clients_stay=False):
        # A clean stop waits for clients to answer connection.close, and these do not while they
        # are not served.
        if self.HOW == "terminate" and not clients_stay:
            for connection in self.connections:
                close_quietly(connection)
        self.connections.clear()
        self.broker.restart(self.HOW)

    def setUp(self):
        self.connections = []

    def connect(self, **more):
        self.connections.append(super().connect(**more))
        return self.connections[-1]

    def test_confirmed_messages_survive_in_order(self):
        channel = self.confirming()
        queue = self.queue(channel, durable=True)
        properties = pika.BasicProperties(delivery_mode=2, headers={"n": 1}, message_id="id",
                                          content_type="x/y")
        self.fill(channel, queue, 200, properties=properties)
        for _ in range(2):
            self.restart()
            channel = self.channel()
            count = channel.queue_declare(queue, passive=True).method.message_count
            self.assertEqual(count, 200)
        got = self.take(channel, queue, 200)
        self.assertEqual([body for _, _, body in got], [b"%d" % n for n in range(200)])
        self.assertEqual(got[0][1].__dict__, properties.__dict__)
        self.assertEqual((got[0][0].exchange, got[0][0].routing_key), ("", queue))
        self.assert_empty(channel, queue)

    def test_definitions_survive(self):
        channel = self.channel()
        exchange, headers = self.name("topic"), self.name("headers")
        durable, other, transient = (self.name() for _ in range(3))
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.exchange_declare(headers, "headers", durable=True)
        channel.exchange_bind(headers, exchange, "h.#")
        channel.queue_declare(durable, durable=True, arguments={"x-max-length": 1000})
        channel.queue_declare(other, durable=True)
        channel.queue_declare(transient)
        channel.queue_bind(durable, exchange, "a.*")
        channel.queue_bind(durable, exchange, "b.*")
        channel.queue_bind(other, headers, arguments={"x-match": "all", "k": 1})
        channel.queue_unbind(durable, exchange, "b.*")
        self.restart()
        channel = self.channel()
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.queue_declare(durable, durable=True, arguments={"x-max-length": 1000})
        for key in ("a.1", "b.1", "h.1"):
            channel.basic_publish(exchange, key, key.encode(),
                                  pika.BasicProperties(headers={"k": 1}))
        self.assertEqual(self.bodies(channel, durable, 1), [b"a.1"])
        self.assertEqual(self.bodies(channel, other, 1), [b"h.1"])
        self.assert_empty(channel, durable)
        self.assert_channel_closed(404, "NOT_FOUND", channel.queue_declare, transient,
                                   passive=True)

    def test_deletions_survive(self):
        channel = self.confirming()
        exchange = self.name("exchange")
        deleted, purged = self.queue(channel, durable=True), self.queue(channel, durable=True)
        channel.exchange_declare(exchange, "direct", durable=True)
        self.fill(channel, deleted, 10)
        self.fill(channel, purged, 10)
        channel.queue_delete(deleted)
        channel.exchange_delete(exchange)
        self.assertEqual(channel.queue_purge(purged).method.message_count, 10)
        self.restart()
        for action, name in (("queue_declare", deleted), ("exchange_declare", exchange)):
            self.assert_channel_closed(404, "NOT_FOUND", getattr(self.channel(), action), name,
                                       passive=True)
        channel = self.channel()
        self.assert_empty(channel, purged)
        channel.queue_declare(deleted, durable=True)
        self.assert_empty(channel, deleted)

    def test_transient_messages_and_queues_are_gone(self):
        channel = self.confirming()
        durable, transient = self.queue(channel, durable=True), self.queue(channel)
        self.fill(channel, durable, 5, properties=TRANSIENT)
        self.fill(channel, durable, 3, first=5)
        self.fill(channel, durable, 2, first=8, properties=None)
        self.fill(channel, transient, 5)
        self.restart()
        channel = self.channel()
        self.assertEqual(self.bodies(channel, durable, 3), [b"5", b"6", b"7"])
        self.assert_empty(channel, durable)
        self.assert_channel_closed(404, "NOT_FOUND", channel.queue_declare, transient,
                                   passive=True)

    # R13: whatever may have been delivered comes back flagged.
    def test_unacked_messages_come_back_flagged(self):
        channel = self.confirming()
        queue = self.queue(channel, durable=True)
        self.fill(channel, queue, 10)
        taken = self.take(channel, queue, 4, auto_ack=False)
        channel.basic_ack(taken[0][0].delivery_tag)
        channel.queue_declare(queue, passive=True)  # the ack has been read
        self.settle_time(channel)
        self.restart(clients_stay=True)
        got = self.take(self.channel(), queue, 9)
        self.assertEqual([body for _, _, body in got], [b"%d" % n for n in range(1, 10)])
        flags = [method.redelivered for method, _, _ in got]
        self.assertEqual(flags[:3], [True] * 3)
        self.check_flags_of_the_rest(flags[3:])

    def settle_time(self, channel):
        """Nothing to wait for before a clean stop."""

    def check_flags_of_the_rest(self, flags):
        """After a clean stop the broker knows exactly what was delivered."""
        self.assertEqual(flags, [False] * 6)

    def test_acked_messages_stay_gone(self):
        channel = self.confirming()
        queue = self.queue(channel, durable=True)
        self.fill(channel, queue, 50)
        for method, _, _ in self.take(channel, queue, 30, auto_ack=False):
            channel.basic_ack(method.delivery_tag)
        channel.queue_declare(queue, passive=True)
        self.settle_time(channel)
        self.restart()
        channel = self.channel()
        self.assertEqual(self.bodies(channel, queue, 20), [b"%d" % n for n in range(30, 50)])
        self.assert_empty(channel, queue)

    def test_publishing_goes_on_after_a_restart(self):
        channel = self.confirming()
        queue = self.queue(channel, durable=True)
        self.fill(channel, queue, 20)
        self.restart()
        channel = self.confirming()
        self.assertEqual(self.bodies(channel, queue, 5), [b"%d" % n for n in range(5)])
        self.fill(channel, queue, 20, first=20)
        self.restart()
        self.assertEqual(self.bodies(self.channel(), queue, 35), [b"%d" % n for n in range(5, 40)])


class Kills(Restarts):
    HOW = "kill"

    def settle_time(self, channel):
        """Acks are committed within the idle delay (5 ms): a publish that is confirmed after that
        time proves that they are."""
        queue = self.queue(channel, durable=True)
        channel.connection.sleep(0.2)
        self.fill(channel, queue, 1)

    def check_flags_of_the_rest(self, flags):
        """After a kill more may be flagged than was delivered, never less."""


if __name__ == "__main__":
    run()
