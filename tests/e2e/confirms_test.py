#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publisher confirms in the three usual styles, and mandatory returns."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from async_publisher import AsyncPublisher
from e2e_case import PERSISTENT, BrokerCase, run


class Confirms(BrokerCase):
    def publisher(self, messages, **options):
        return AsyncPublisher(self.parameters(), messages, **options).run()

    def test_each_message_is_confirmed_one_by_one(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        channel.confirm_delivery()
        for number in range(50):
            channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
        self.assertEqual(self.bodies(channel, queue, 50), [b"%d" % n for n in range(50)])

    # P5: every publish is answered exactly once.
    def test_a_batch_is_confirmed_exactly_once(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        sent = self.publisher([("", queue, b"%d" % n, PERSISTENT, False) for n in range(100)])
        self.assertEqual(sorted(sent.settled), list(range(1, 101)))
        self.assertTrue(all(kind == "ack" for kind, _, _ in sent.events))
        self.assertEqual(channel.queue_declare(queue, passive=True).method.message_count, 100)

    def test_an_asynchronous_stream_is_confirmed_exactly_once(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        sent = self.publisher([("", queue, b"%d" % n, PERSISTENT if n % 3 else None, False)
                               for n in range(5000)])
        self.assertEqual(sorted(sent.settled), list(range(1, 5001)))
        got = self.bodies(channel, queue, 5000)
        self.assertEqual(got, [b"%d" % n for n in range(5000)])

    def test_confirm_reaches_transient_queues_and_several_queues(self):
        channel = self.channel()
        exchange = self.name("fanout")
        channel.exchange_declare(exchange, "fanout")
        queues = [self.queue(channel, durable=durable) for durable in (True, False, True)]
        for queue in queues:
            channel.queue_bind(queue, exchange)
        sent = self.publisher([(exchange, "", b"%d" % n, PERSISTENT, True) for n in range(300)])
        self.assertEqual(sorted(sent.settled), list(range(1, 301)))
        for queue in queues:
            self.assertEqual(self.bodies(channel, queue, 300), [b"%d" % n for n in range(300)])

    def test_unroutable_without_mandatory_is_acked(self):
        sent = self.publisher([("", "no such queue", b"x", PERSISTENT, False)])
        self.assertEqual(sent.events, [("ack", 1, False)])

    # B6: the return comes before the confirm.
    def test_mandatory_return_precedes_its_ack(self):
        channel = self.channel()
        queue = self.queue(channel)
        sent = self.publisher([("", "no such queue", b"lost", None, True),
                               ("", queue, b"kept", None, True),
                               ("amq.topic", "nobody", b"lost too", None, True)], pipeline=False)
        self.assertEqual([event[:2] for event in sent.events],
                         [("return", 312), ("ack", 1), ("ack", 2), ("return", 312), ("ack", 3)])
        self.assertEqual([e[2] for e in sent.events if e[0] == "return"], [b"lost", b"lost too"])

    def test_return_carries_what_was_published(self):
        channel = self.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(content_type="text/plain", headers={"a": 1})
        with self.assertRaises(pika.exceptions.UnroutableError) as caught:
            channel.basic_publish("", "no such queue", b"body", properties, mandatory=True)
        returned = caught.exception.messages[0]
        self.assertEqual((returned.method.reply_code, returned.method.reply_text),
                         (312, "NO_ROUTE"))
        self.assertEqual((returned.method.exchange, returned.method.routing_key),
                         ("", "no such queue"))
        self.assertEqual((returned.body, returned.properties.headers), (b"body", {"a": 1}))

    def test_return_without_confirms(self):
        channel = self.channel()
        returns = []
        channel.add_on_return_callback(lambda ch, method, props, body: returns.append(body))
        channel.basic_publish("", "no such queue", b"back", mandatory=True)
        self.wait_for("return", lambda: returns, channel.connection)
        self.assertEqual(returns, [b"back"])

    def test_consumed_before_it_is_stored_is_confirmed(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        got = []
        channel.basic_consume(queue, lambda ch, m, p, body: got.append(body), auto_ack=True)
        sent = self.publisher([("", queue, b"%d" % n, PERSISTENT, False) for n in range(1000)])
        self.wait_for("deliveries", lambda: len(got) == 1000, channel.connection)
        self.assertEqual(sorted(sent.settled), list(range(1, 1001)))
        self.assertEqual(got, [b"%d" % n for n in range(1000)])

    def test_deleting_the_queue_confirms_what_it_held(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        other = self.channel()
        messages = [("", queue, b"x" * 1000, PERSISTENT, False)] * 2000
        sent = AsyncPublisher(self.parameters(), messages)
        sent._connection.ioloop.call_later(0.05, lambda: other.queue_delete(queue))
        sent.run()
        self.assertEqual(sorted(sent.settled), list(range(1, 2001)))


if __name__ == "__main__":
    run()
