#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exchanges, queues and arguments that frameworks declare, through pika: older Celery, Spring
AMQP, MassTransit, EasyNetQ. Each declares twice, as every start of a program does, and sends a
message the way it goes in that framework."""

import pathlib
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import pika
import pika.exceptions

from e2e_case import PERSISTENT, WAIT_SECONDS, BrokerCase, run

STARTS = 2


class Topologies(BrokerCase):
    def setUp(self):
        self.connection = self.connect()
        self.confirming = self.connection.channel()
        self.confirming.confirm_delivery()

    def consumed(self, channel, queue, count):
        """The bodies that a consumer gets: basic.get is not for every queue below."""
        got = []
        for method, _, body in channel.consume(queue, inactivity_timeout=WAIT_SECONDS):
            self.assertIsNotNone(method, f"{queue}: {len(got)} of {count} messages")
            channel.basic_ack(method.delivery_tag)
            got.append(body)
            if len(got) == count:
                break
        channel.cancel()
        return got

    def test_celery_control_and_event_queues(self):
        """Before control_queue_exclusive: transient queues that are not exclusive."""
        channel = self.connection.channel()
        for _ in range(STARTS):
            channel.exchange_declare("celery", "direct", durable=True)
            channel.queue_declare("celery", durable=True)
            channel.queue_bind("celery", "celery", "celery")
            channel.exchange_declare("celery.pidbox", "fanout")
            channel.queue_declare("celery@host.celery.pidbox", auto_delete=True, arguments={
                "x-message-ttl": 300000, "x-expires": 10000})
            channel.queue_bind("celery@host.celery.pidbox", "celery.pidbox")
            channel.exchange_declare("celeryev", "topic", durable=True)
            channel.queue_declare("celeryev.host", auto_delete=True, arguments={
                "x-message-ttl": 5000, "x-expires": 60000})
            channel.queue_bind("celeryev.host", "celeryev", "worker.#")
        self.confirming.basic_publish("celery.pidbox", "", b"ping", mandatory=True)
        self.confirming.basic_publish("celeryev", "worker.heartbeat", b"beat", mandatory=True)
        self.assertEqual(self.bodies(channel, "celery@host.celery.pidbox", 1), [b"ping"])
        self.assertEqual(self.bodies(channel, "celeryev.host", 1), [b"beat"])

    def test_spring_declares_and_asks(self):
        """RabbitAdmin declares everything at each start and reads getQueueInfo from declare-ok."""
        channel = self.connection.channel()
        queue, exchange = self.name("orders"), self.name("exchange")
        for _ in range(STARTS):
            channel.exchange_declare(exchange, "topic", durable=True)
            channel.exchange_declare(f"{exchange}.dlx", "direct", durable=True)
            channel.queue_declare(queue, durable=True, arguments={
                "x-dead-letter-exchange": f"{exchange}.dlx", "x-dead-letter-routing-key": queue,
                "x-message-ttl": 60000, "x-max-length": 10000})
            channel.queue_declare(f"{queue}.dlq", durable=True)
            channel.queue_bind(queue, exchange, "orders.#")
            channel.queue_bind(f"{queue}.dlq", f"{exchange}.dlx", queue)
            name = channel.queue_declare(f"spring.gen-{uuid.uuid4()}", exclusive=True,
                                         auto_delete=True).method.queue
            channel.queue_bind(name, exchange, "#")
        headers = {"spring_batch_format": "lengthHeader4", "__TypeId__": "com.example.Order",
                   "spring_returned_message_correlation": str(uuid.uuid4())}
        batch = b"\0\0\0\1x\0\0\0\1y"
        self.confirming.basic_publish(exchange, "orders.new", batch, pika.BasicProperties(
            delivery_mode=2, headers=headers, content_type="application/octet-stream"),
            mandatory=True)
        info = channel.queue_declare(queue, passive=True).method
        self.assertEqual((info.message_count, info.consumer_count), (1, 0))
        [(_, properties, _)] = self.take(channel, queue, 1)
        self.assertEqual(properties.headers, headers)

    def test_mass_transit_sends_through_exchanges_of_types(self):
        """Message type -> endpoint -> queue: fanout exchanges bound to each other."""
        channel = self.connection.channel()
        endpoint = self.name("submit-order")
        message_type, base_type = "Contracts:SubmitOrder", "Contracts:Command"
        kinds = {
            endpoint: {"x-queue-type": "quorum", "x-single-active-consumer": True},
            f"{endpoint}_skipped": {"x-queue-type": "quorum"},
            f"{endpoint}_error": {"x-queue-type": "quorum"},
            f"{endpoint}_urgent": {"x-max-priority": 5},
            f"{endpoint}_idle": {"x-expires": 60000}}
        for _ in range(STARTS):
            for name in (message_type, base_type):
                channel.exchange_declare(name, "fanout", durable=True)
            channel.exchange_bind(base_type, message_type)
            for name, arguments in kinds.items():
                channel.exchange_declare(name, "fanout", durable=True)
                channel.queue_declare(name, durable=True, arguments=arguments)
                channel.queue_bind(name, name)
            channel.exchange_bind(endpoint, message_type)
            channel.exchange_bind(endpoint, base_type)
        bus = f"host_bus_{uuid.uuid4().hex}"
        channel.exchange_declare(bus, "fanout", auto_delete=True)
        channel.queue_declare(bus, auto_delete=True, arguments={"x-expires": 60000})
        channel.queue_bind(bus, bus)
        channel.exchange_bind(bus, base_type)

        body = b'{"messageType": ["urn:message:Contracts:SubmitOrder"]}'
        self.confirming.basic_publish(message_type, "", body, pika.BasicProperties(
            delivery_mode=2, content_type="application/vnd.masstransit+json",
            headers={"MT-Activity-Id": "00-1-1-00"}), mandatory=True)
        # Two ways lead to the endpoint's exchange: its queue gets one copy.
        for queue in (endpoint, bus):
            held = channel.queue_declare(queue, passive=True).method.message_count
            self.assertEqual(held, 1)
            self.assertEqual(self.consumed(channel, queue, 1), [body])
        self.confirming.basic_publish(f"{endpoint}_error", "", b"fault", PERSISTENT,
                                      mandatory=True)
        self.assertEqual(self.bodies(channel, f"{endpoint}_error", 1), [b"fault"])

    def test_mass_transit_schedules_with_delayed_exchanges(self):
        """SchedulePublish and UseDelayedRedelivery: an x-delayed-message exchange before the
        endpoint's, a message that waits as long as its x-delay says, another that does not wait."""
        channel = self.connection.channel()
        endpoint = self.name("remind")
        for _ in range(STARTS):
            channel.exchange_declare(f"{endpoint}_delay", "x-delayed-message", durable=True,
                                     arguments={"x-delayed-type": "fanout"})
            channel.exchange_declare(endpoint, "fanout", durable=True)
            channel.queue_declare(endpoint, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(endpoint, endpoint)
            channel.exchange_bind(endpoint, f"{endpoint}_delay")
        began = time.monotonic()
        for delay in (1000, 0):
            self.confirming.basic_publish(f"{endpoint}_delay", "", b"%d" % delay,
                                          pika.BasicProperties(delivery_mode=2,
                                                               headers={"x-delay": delay}))
        self.assertEqual(set(self.consumed(channel, endpoint, 2)), {b"0", b"1000"})
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_easy_net_q_calls_and_errors(self):
        """Client properties of its own, mandatory publishes, a response queue for calls."""
        connection = self.connect(client_properties={
            "easynetq_version": "7.8.0", "client_api": "EasyNetQ", "application": "tests"})
        channel = connection.channel()
        subscribed, requests = "Order, Contracts", self.name("rpc")
        response = f"easynetq.response.{uuid.uuid4()}"
        for _ in range(STARTS):
            channel.exchange_declare(subscribed, "topic", durable=True)
            channel.queue_declare(f"{subscribed}_shop", durable=True, arguments={
                "x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
                "x-dead-letter-exchange": "ErrorExchange_shop", "x-single-active-consumer": True})
            channel.queue_bind(f"{subscribed}_shop", subscribed, "#")
            channel.exchange_declare("easy_net_q_rpc", "direct", durable=True)
            channel.queue_declare(requests, durable=True)
            channel.queue_bind(requests, "easy_net_q_rpc", requests)
            channel.queue_declare(response, exclusive=True, auto_delete=True)
            channel.exchange_declare("ErrorExchange_shop", "direct", durable=True)
            channel.queue_declare("EasyNetQ_Default_Error_Queue", durable=True)
            channel.queue_bind("EasyNetQ_Default_Error_Queue", "ErrorExchange_shop", "#")
        self.confirming.basic_publish(subscribed, "", b"order", PERSISTENT, mandatory=True)
        self.assertEqual(self.consumed(channel, f"{subscribed}_shop", 1), [b"order"])
        with self.assertRaises(pika.exceptions.UnroutableError):
            self.confirming.basic_publish("easy_net_q_rpc", "nobody", b"x", PERSISTENT,
                                          mandatory=True)

        answers = []
        channel.basic_consume(response, lambda ch, method, props, body: answers.append(
            (props.correlation_id, body)), auto_ack=True)
        self.confirming.basic_publish("easy_net_q_rpc", requests, b"question", pika.BasicProperties(
            reply_to=response, correlation_id="7", delivery_mode=1), mandatory=True)
        [(_, asked, _)] = self.take(self.confirming, requests, 1)
        self.confirming.basic_publish("", asked.reply_to, b"answer", pika.BasicProperties(
            correlation_id=asked.correlation_id), mandatory=True)
        self.wait_for("answer", lambda: answers, connection)
        self.assertEqual(answers, [("7", b"answer")])


if __name__ == "__main__":
    run()
