#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kombu, and what Celery needs of it."""

import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.common import QoS

import client_case
from client_case import SOURCES
from e2e_case import WAIT_SECONDS, BrokerCase, run

LEVELS = 28  # of Celery's delayed delivery: up to eight years


class Kombu(client_case.EveryClient):
    @classmethod
    def program(cls):
        return ["/usr/bin/python3", SOURCES / "kombu/client.py"]


class InProcess(BrokerCase):
    def setUp(self):
        self.kombu = Connection(f"amqp://guest:guest@127.0.0.1:{self.broker.port}//",
                                transport_options={"confirm_publish": True})
        self.addCleanup(self.kombu.release)
        self.got = []

    def drain(self, count):
        while len(self.got) < count:
            self.kombu.drain_events(timeout=WAIT_SECONDS)

    def assert_quiet(self):
        """Nothing more comes: the broker has answered what was asked after the deliveries."""
        count = len(self.got)
        self.kombu.channel().close()
        with self.assertRaises(socket.timeout):
            self.kombu.drain_events(timeout=0.05)
        self.assertEqual(len(self.got), count)

    # Product and version decide whether Kombu uses basic.qos with global=true, and only that
    # reaches a consumer that is there: Celery raises its prefetch so for each task with an ETA.
    def test_prefetch_of_a_consumer_can_be_changed(self):
        channel = self.kombu.default_channel
        self.assertFalse(self.kombu.transport.qos_semantics_matches_spec(self.kombu.connection))
        queue = Queue(self.name(), Exchange(self.name("exchange"), "direct"), "key")(channel)
        queue.declare()
        producer = Producer(channel, queue.exchange)
        for number in range(10):
            producer.publish(number, routing_key="key")
        consumer = Consumer(self.kombu.channel(), [queue], on_message=self.got.append)
        qos = QoS(lambda prefetch_count: consumer.qos(
            prefetch_count=prefetch_count, apply_global=True), 1)
        qos.update()
        with consumer:
            for expected in (1, 2, 4):
                qos.increment_eventually(expected - qos.value)
                qos.update()
                self.drain(expected)
                self.assert_quiet()

    def test_simple_queue_with_compressed_json(self):
        with self.kombu.SimpleQueue(self.name()) as simple:
            for number in range(3):
                simple.put({"number": number, "text": "x" * 100000}, compression="zlib")
            self.assertEqual(len(simple), 3)
            for number in range(3):
                message = simple.get(timeout=WAIT_SECONDS)
                self.assertEqual(message.payload, {"number": number, "text": "x" * 100000})
                message.ack()
            self.assertEqual(len(simple), 0)

    def declare_delay(self, channel):
        """As Celery 5.5 does with quorum queues: a level for each bit of the seconds to wait; a
        bit that is set leads through the level's queue, whose time to live is the wait."""
        for level in range(LEVELS - 1, -1, -1):
            name = f"celery_delayed_{level}"
            below = f"celery_delayed_{level - 1}" if level else "celery_delayed_delivery"
            Exchange(name, "topic")(channel).declare()
            queue = Queue(name, durable=True, queue_arguments={
                "x-queue-type": "quorum", "x-overflow": "reject-publish",
                "x-message-ttl": 2**level * 1000, "x-dead-letter-exchange": below,
                "x-dead-letter-strategy": "at-least-once"})(channel)
            queue.declare()
            queue.bind_to(name, "*." * (LEVELS - 1 - level) + "1.#")
        for level in range(LEVELS - 1, 0, -1):
            Exchange(f"celery_delayed_{level - 1}", "topic")(channel).bind_to(
                f"celery_delayed_{level}", "*." * (LEVELS - 1 - level) + "0.#")
        delivery = Exchange("celery_delayed_delivery", "topic")(channel)
        delivery.declare()
        delivery.bind_to("celery_delayed_0", "*." * (LEVELS - 1) + "0.#")

    def delayed_queue(self, channel):
        self.declare_delay(channel)
        self.declare_delay(channel)  # every worker declares it again
        key = self.name("key")
        exchange = Exchange(self.name("tasks"), "topic")(channel)
        queue = Queue(self.name(), exchange, key)(channel)
        queue.declare()
        exchange.bind_to("celery_delayed_delivery", f"#.{key}")
        queue.bind_to(exchange.name, f"#.{key}")
        return queue, key

    def publish_delayed(self, producer, seconds, key):
        bits = ".".join(f"{seconds:0{LEVELS}b}")
        producer.publish(seconds, exchange=f"celery_delayed_{LEVELS - 1}",
                         routing_key=f"{bits}.{key}", mandatory=True)

    def test_delayed_delivery_topology_of_celery(self):
        channel = self.kombu.default_channel
        queue, key = self.delayed_queue(channel)
        producer = Producer(channel)
        self.publish_delayed(producer, 0, key)  # through all 28 exchanges
        with Consumer(channel, [queue], on_message=self.got.append, no_ack=True):
            self.drain(1)
        longest = Queue(f"celery_delayed_{LEVELS - 1}")(channel)
        self.publish_delayed(producer, 2**LEVELS - 1, key)
        self.assertEqual(longest.queue_declare(passive=True).message_count, 1)

    def test_delayed_delivery_waits_as_long_as_asked(self):
        channel = self.kombu.default_channel
        queue, key = self.delayed_queue(channel)
        began = time.monotonic()
        for seconds in (3, 1):
            self.publish_delayed(Producer(channel), seconds, key)

        def arrive(message):
            self.got.append((message.payload, time.monotonic() - began))

        with Consumer(channel, [queue], no_ack=True, on_message=arrive):
            self.drain(2)
        self.assertEqual(sorted(asked for asked, _ in self.got), [1, 3])
        for asked, waited in self.got:
            self.assertGreaterEqual(waited, asked)


if __name__ == "__main__":
    run()
