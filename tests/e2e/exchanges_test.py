#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where messages go: extra routing keys, direct replies, exchanges that choose or drop."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from e2e_case import PERSISTENT, BrokerCase, run

REPLIES = "amq.rabbitmq.reply-to"


class ExtraKeys(BrokerCase):
    def test_cc_and_bcc_reach_more_queues_and_bcc_is_not_told(self):
        channel = self.channel()
        first, second, third = (self.queue(channel) for _ in range(3))
        headers = {"CC": [second, first], "BCC": [third], "kept": {"deep": [1, "two", None]}}
        channel.confirm_delivery()
        channel.basic_publish("", first, b"x", pika.BasicProperties(headers=headers))
        del headers["BCC"]
        for queue in (first, second, third):
            [(method, properties, body)] = self.take(channel, queue, 1)
            self.assertEqual((method.routing_key, properties.headers, body), (first, headers, b"x"))
            self.assert_empty(channel, queue)

    def test_cc_of_another_type_is_406(self):
        for value in ("text", 5, [5], {"a": "b"}):
            channel = self.channel()
            channel.basic_publish("", "q", b"x", pika.BasicProperties(headers={"CC": value}))
            self.assert_channel_closed(406, "header 'CC' must be an array of longstr",
                                       channel.queue_declare, "", exclusive=True)


class DirectReplyTo(BrokerCase):
    def request(self, channel, queue, body, number):
        channel.basic_publish("", queue, body, pika.BasicProperties(
            reply_to=REPLIES, correlation_id=str(number)))

    def test_many_clients_get_their_own_replies(self):
        worker = self.channel()
        queue = self.queue(worker)

        def answer(channel, method, properties, body):
            self.assertTrue(properties.reply_to.startswith(REPLIES + "."))
            channel.basic_publish("", properties.reply_to, b"re: " + body, pika.BasicProperties(
                correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)

        worker.basic_consume(queue, answer)
        got = {}
        clients = []
        for number in range(6):
            channel = self.channel()
            channel.basic_consume(
                REPLIES, lambda _c, _m, properties, body, number=number:
                got.setdefault(number, []).append((properties.correlation_id, body)), auto_ack=True)
            clients.append(channel)
        for round_number in range(20):
            for number, channel in enumerate(clients):
                self.request(channel, queue, b"%d" % number, round_number)

        def complete():
            for channel in clients:
                channel.connection.process_data_events(0)
            return len(got) == 6 and all(len(replies) == 20 for replies in got.values())

        self.wait_for("all replies", complete, worker.connection)
        for number in range(6):
            self.assertEqual(got[number], [(str(i), b"re: %d" % number) for i in range(20)])

    def test_rules(self):
        self.assert_channel_closed(406, "reply consumer cannot acknowledge",
                                   self.channel().basic_consume, REPLIES, print)
        channel = self.channel()
        channel.basic_consume(REPLIES, print, auto_ack=True)
        self.assert_channel_closed(406, "reply consumer already set", channel.basic_consume,
                                   REPLIES, print, auto_ack=True)
        channel = self.channel()
        self.request(channel, "nobody", b"x", 1)
        self.assert_channel_closed(406, "fast reply consumer does not exist",
                                   channel.queue_declare, "", exclusive=True)
        declared = self.channel().queue_declare(REPLIES, passive=True).method
        self.assertEqual((declared.queue, declared.message_count, declared.consumer_count),
                         (REPLIES, 0, 1))

    def test_mandatory_reply_to_a_requester_that_left_is_returned(self):
        worker = self.channel()
        queue = self.queue(worker)
        requester = self.channel()
        requester.basic_consume(REPLIES, print, auto_ack=True)
        self.request(requester, queue, b"ask", 1)
        [(_, properties, _)] = self.take(worker, queue, 1)
        self.assertEqual(worker.queue_declare(properties.reply_to, passive=True)
                         .method.consumer_count, 1)
        worker.confirm_delivery()
        worker.basic_publish("", properties.reply_to, b"first", mandatory=True)
        requester.connection.close()
        with self.assertRaises(pika.exceptions.UnroutableError):
            worker.basic_publish("", properties.reply_to, b"second", PERSISTENT, mandatory=True)
        self.assert_channel_closed(404, "no queue", worker.queue_declare, properties.reply_to,
                                   passive=True)


class ConsistentHash(BrokerCase):
    def spread(self, channel, exchange, queues):
        """What each queue gets of 1000 keys; takes the messages."""
        for number in range(1000):
            channel.basic_publish(exchange, f"key {number}", b"%d" % number, mandatory=True)
        counts = [channel.queue_declare(queue, passive=True).method.message_count
                  for queue in queues]
        return [sorted(self.bodies(channel, queue, count))
                for queue, count in zip(queues, counts)]

    def test_weights_and_restart(self):
        channel = self.channel()
        channel.confirm_delivery()
        exchange = self.name("exchange")
        channel.exchange_declare(exchange, "x-consistent-hash", durable=True)
        queues = [self.queue(channel, durable=True) for _ in range(3)]
        for queue, weight in zip(queues, ("1", "1", "3")):
            channel.queue_bind(queue, exchange, weight)
        before = self.spread(channel, exchange, queues)
        self.assertEqual(sum(map(len, before)), 1000)
        for got, share in zip(before, (200, 200, 600)):
            self.assertAlmostEqual(len(got), share, delta=80)
        self.broker.restart("kill")
        channel = self.channel()
        channel.confirm_delivery()
        self.assertEqual(self.spread(channel, exchange, queues), before)

    def test_weight_must_be_a_positive_integer(self):
        channel = self.channel()
        exchange, queue = self.name("exchange"), self.queue(channel)
        channel.exchange_declare(exchange, "x-consistent-hash")
        for key in ("0", "-1", "many", ""):
            self.assert_channel_closed(406, "The binding key must be", self.channel().queue_bind,
                                       queue, exchange, key)


class Deduplication(BrokerCase):
    def test_each_id_passes_once_whoever_sends_it(self):
        channels = [self.channel() for _ in range(4)]
        exchange = self.name("exchange")
        queue = self.queue(channels[0], durable=True)
        channels[0].exchange_declare(exchange, "fanout", durable=True, arguments={
            "x-message-deduplication": True, "x-cache-size": 1000,
            "x-deduplication-header": "order-id"})
        channels[0].queue_bind(queue, exchange)
        for channel in channels:
            channel.confirm_delivery()
        for number in range(200):
            for channel in channels:
                channel.basic_publish(exchange, "", b"%d" % number, pika.BasicProperties(
                    delivery_mode=2, headers={"order-id": number}))
        self.assertEqual(self.bodies(channels[0], queue, 200),
                         [b"%d" % number for number in range(200)])
        self.assert_empty(channels[0], queue)

    def test_wrong_arguments_are_406(self):
        for name, value in (("x-message-deduplication", "yes"), ("x-cache-size", 0),
                            ("x-cache-ttl", -1), ("x-deduplication-header", 5)):
            arguments = {"x-message-deduplication": True, name: value}
            self.assert_channel_closed(406, f"invalid arg '{name}'",
                                       self.channel().exchange_declare, self.name("exchange"),
                                       "fanout", arguments=arguments)


class Limits(BrokerCase):
    OPTIONS = ("--queue-max", "2", "--consumer-max-per-channel", "2")

    def test_queues_and_consumers(self):
        channel = self.channel()
        queues = [self.queue(channel) for _ in range(2)]
        self.assert_channel_closed(406, "queue limit in vhost '/' (2) is reached",
                                   self.channel().queue_declare, "third")
        for _ in range(2):
            channel.basic_consume(queues[0], print)
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            channel.basic_consume(queues[0], print)
        self.assertEqual(caught.exception.reply_code, 530)
        self.assertIn("reached maximum (2) of consumers per channel", caught.exception.reply_text)


if __name__ == "__main__":
    run()
