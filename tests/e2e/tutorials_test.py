#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The classic tutorials, as their readers write them: hello world, work queues, publish and
subscribe, routing, topics, headers, RPC."""

import pathlib
import signal
import subprocess
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika

from e2e_case import PERSISTENT, BrokerCase, run

WORKER = pathlib.Path(__file__).with_name("silent_worker.py")


class HelloWorld(BrokerCase):
    def test_sent_message_is_received(self):
        channel = self.channel()
        queue = self.queue(channel)
        channel.basic_publish("", queue, b"Hello World!")
        got = []
        channel.basic_consume(queue, lambda ch, method, props, body: got.append((method, body)),
                              auto_ack=True)
        self.wait_for("delivery", lambda: got, channel.connection)
        method, body = got[0]
        self.assertEqual(body, b"Hello World!")
        self.assertEqual((method.exchange, method.routing_key), ("", queue))
        self.assertEqual((method.delivery_tag, method.redelivered), (1, False))

    def test_properties_and_large_bodies_arrive_as_sent(self):
        channel = self.channel()
        queue = self.queue(channel)
        sent = pika.BasicProperties(
            content_type="text/plain", content_encoding="utf-8", delivery_mode=1, priority=4,
            headers={"word": "x", "number": 7, "nested": {"list": [1, "two", True, None]}},
            correlation_id="c", reply_to="r", expiration="60000", message_id="m",
            timestamp=1700000000, type="t", user_id="guest", app_id="a")
        bodies = [b"", b"x", bytes(range(256)) * 2048, b"y" * 131072, b"z" * 3_000_000]
        for body in bodies:
            channel.basic_publish("", queue, body, sent)
        for body, (_, properties, got) in zip(bodies, self.take(channel, queue, len(bodies))):
            self.assertEqual(got, body)
            self.assertEqual(properties.__dict__, sent.__dict__)

    def test_server_names_a_queue(self):
        channel = self.channel()
        first = channel.queue_declare("", exclusive=True).method.queue
        second = channel.queue_declare("", exclusive=True).method.queue
        self.assertTrue(first.startswith("amq.gen-"))
        self.assertNotEqual(first, second)


class WorkQueues(BrokerCase):
    def worker(self, queue):
        process = subprocess.Popen([sys.executable, WORKER, str(self.broker.port), queue],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 20)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline().strip(), "consuming")
        return process

    def test_fair_dispatch_shares_the_work(self):
        connection = self.connect()
        channel = connection.channel()
        queue = self.queue(channel, durable=True)
        got = {"a": [], "b": []}
        for name in got:
            consumer = connection.channel()
            consumer.basic_qos(prefetch_count=1)
            consumer.basic_consume(
                queue, lambda ch, method, props, body, name=name: (
                    got[name].append(body), ch.basic_ack(method.delivery_tag)))
        for number in range(20):
            channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
        self.wait_for("all work", lambda: len(got["a"]) + len(got["b"]) == 20, connection)
        self.assertEqual(sorted(map(int, got["a"] + got["b"])), list(range(20)))
        self.assertTrue(got["a"] and got["b"])

    def test_message_of_a_killed_worker_goes_to_the_other(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        worker = self.worker(queue)
        channel.confirm_delivery()
        for body in (b"task 1", b"task 2"):
            channel.basic_publish("", queue, body, PERSISTENT)
        self.assertEqual(worker.stdout.readline().strip(), "got task 1 redelivered=False")
        worker.send_signal(signal.SIGKILL)
        worker.wait(20)
        got = []
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(queue, lambda ch, method, props, body: (
            got.append((body, method.redelivered)), ch.basic_ack(method.delivery_tag)))
        self.wait_for("both tasks", lambda: len(got) == 2, channel.connection)
        self.assertEqual(sorted(got), [(b"task 1", True), (b"task 2", False)])

    def test_busy_worker_is_passed_over(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        worker = self.worker(queue)
        channel.basic_publish("", queue, b"long", PERSISTENT)
        self.assertEqual(worker.stdout.readline().strip(), "got long redelivered=False")
        got = []
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(queue, lambda ch, method, props, body: (
            got.append(body), ch.basic_ack(method.delivery_tag)))
        for number in range(5):
            channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
        self.wait_for("the rest", lambda: len(got) == 5, channel.connection)
        self.assertEqual(got, [b"0", b"1", b"2", b"3", b"4"])


class PublishSubscribe(BrokerCase):
    def subscribe(self, channel, exchange, *keys, arguments=None):
        queue = channel.queue_declare("", exclusive=True).method.queue
        for key in keys or ("",):
            channel.queue_bind(queue, exchange, key, arguments)
        return queue

    def test_fanout_copies_to_every_subscriber(self):
        channel = self.channel()
        exchange = self.name("logs")
        channel.exchange_declare(exchange, "fanout")
        channel.basic_publish(exchange, "", b"before anybody listens")
        queues = [self.subscribe(channel, exchange) for _ in range(3)]
        channel.basic_publish(exchange, "ignored", b"info: hello")
        for queue in queues:
            self.assertEqual(self.bodies(channel, queue, 1), [b"info: hello"])
            self.assert_empty(channel, queue)

    def test_direct_routes_by_key(self):
        channel = self.channel()
        exchange = self.name("direct_logs")
        channel.exchange_declare(exchange, "direct")
        errors = self.subscribe(channel, exchange, "error")
        everything = self.subscribe(channel, exchange, "info", "warning", "error")
        for severity in ("info", "error", "warning", "debug"):
            channel.basic_publish(exchange, severity, severity.encode())
        self.assertEqual(self.bodies(channel, errors, 1), [b"error"])
        self.assertEqual(self.bodies(channel, everything, 3), [b"info", b"error", b"warning"])
        self.assert_empty(channel, errors)
        self.assert_empty(channel, everything)

    def test_topic_patterns_match_words(self):
        channel = self.channel()
        exchange = self.name("topic_logs")
        channel.exchange_declare(exchange, "topic")
        orange = self.subscribe(channel, exchange, "*.orange.*")
        rabbits = self.subscribe(channel, exchange, "*.*.rabbit", "lazy.#")
        everything = self.subscribe(channel, exchange, "#")
        keys = ["quick.orange.rabbit", "lazy.orange.elephant", "quick.orange.fox",
                "lazy.brown.fox", "lazy.pink.rabbit", "quick.brown.fox", "orange", "lazy",
                "quick.orange.new.rabbit", "lazy.orange.new.rabbit", ""]
        for key in keys:
            channel.basic_publish(exchange, key, key.encode())
        self.assertEqual(self.bodies(channel, orange, 3), [k.encode() for k in keys[:3]])
        lazy = [keys[0], keys[1], keys[3], keys[4], "lazy", "lazy.orange.new.rabbit"]
        self.assertEqual(self.bodies(channel, rabbits, 6), [k.encode() for k in lazy])
        self.assertEqual(self.bodies(channel, everything, len(keys)), [k.encode() for k in keys])
        for queue in (orange, rabbits, everything):
            self.assert_empty(channel, queue)

    def test_headers_match_all_or_any(self):
        channel = self.channel()
        exchange = self.name("headers")
        channel.exchange_declare(exchange, "headers")
        both = self.subscribe(channel, exchange,
                              arguments={"x-match": "all", "format": "pdf", "type": "report"})
        either = self.subscribe(channel, exchange,
                                arguments={"x-match": "any", "format": "pdf", "type": "log"})
        for body, headers in ((b"1", {"format": "pdf", "type": "report"}),
                              (b"2", {"format": "pdf", "type": "letter"}),
                              (b"3", {"format": "zip", "type": "log"}),
                              (b"4", {"format": "zip"}), (b"5", None)):
            channel.basic_publish(exchange, "", body, pika.BasicProperties(headers=headers))
        self.assertEqual(self.bodies(channel, both, 1), [b"1"])
        self.assertEqual(self.bodies(channel, either, 3), [b"1", b"2", b"3"])
        self.assert_empty(channel, both)
        self.assert_empty(channel, either)

    def test_unbind_stops_the_copies(self):
        channel = self.channel()
        queue = self.subscribe(channel, "amq.direct", "key")
        channel.queue_unbind(queue, "amq.direct", "key")
        channel.basic_publish("amq.direct", "key", b"nobody")
        self.assert_empty(channel, queue)

    def test_exchange_to_exchange(self):
        channel = self.channel()
        source, target = self.name("source"), self.name("target")
        channel.exchange_declare(source, "topic")
        channel.exchange_declare(target, "fanout")
        channel.exchange_bind(target, source, "a.#")
        queue = self.subscribe(channel, target)
        channel.basic_publish(source, "a.b", b"through")
        channel.basic_publish(source, "b", b"not through")
        self.assertEqual(self.bodies(channel, queue, 1), [b"through"])
        channel.exchange_unbind(target, source, "a.#")
        channel.basic_publish(source, "a.b", b"no more")
        self.assert_empty(channel, queue)


class RemoteProcedureCall(BrokerCase):
    def test_reply_finds_its_caller(self):
        server = self.connect()
        requests = server.channel()
        queue = self.queue(requests)

        def serve(channel, method, properties, body):
            channel.basic_publish("", properties.reply_to, str(fibonacci(int(body))),
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)

        requests.basic_qos(prefetch_count=1)
        requests.basic_consume(queue, serve)
        caller = self.connect()
        channel = caller.channel()
        callback_queue = channel.queue_declare("", exclusive=True).method.queue
        replies = {}
        channel.basic_consume(callback_queue, lambda ch, method, props, body:
                              replies.update({props.correlation_id: body}), auto_ack=True)
        calls = {}
        for number in (5, 10, 15):
            calls[number] = str(uuid.uuid4())
            channel.basic_publish("", queue, str(number), pika.BasicProperties(
                reply_to=callback_queue, correlation_id=calls[number]))
        def answered():
            server.process_data_events(0)
            return len(replies) == 3
        self.wait_for("replies", answered, caller)
        self.assertEqual([replies[calls[n]] for n in (5, 10, 15)], [b"5", b"55", b"610"])


def fibonacci(number):
    a, b = 0, 1
    for _ in range(number):
        a, b = b, a + b
    return a


if __name__ == "__main__":
    run()
