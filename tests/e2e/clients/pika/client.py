# SPDX-License-Identifier: Apache-2.0
"""pika with its blocking connection. The scenarios of ../README.md; the library does not recover,
the program connects again as its documentation shows."""

import sys
import time

import pika
import pika.exceptions

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def say(*words):
    print(*words, flush=True)


def connect():
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT))


def declare(channel, exchange, kind, queue, key, arguments=None):
    channel.exchange_declare(exchange, kind, durable=True)
    channel.queue_declare(queue, durable=True, arguments=arguments)
    channel.queue_bind(queue, exchange, key)


def publish_numbers(channel, count):
    channel.confirm_delivery()
    for number in range(count):
        channel.basic_publish(f"{NAME}.x", "work", str(number), PERSISTENT)
        say("confirmed", number)


def got(method, body):
    say("got", body.decode(), int(method.redelivered))


def work():
    connection = connect()
    channel = connection.channel()
    declare(channel, f"{NAME}.x", "direct", f"{NAME}.q", "work")
    publish_numbers(channel, 100)
    try:
        channel.basic_publish(f"{NAME}.x", "nowhere", "lost", PERSISTENT, mandatory=True)
    except pika.exceptions.UnroutableError as error:
        say("returned", error.messages[0].method.reply_code, error.messages[0].method.reply_text)
    channel.basic_qos(prefetch_count=10)
    held = []
    for method, _, body in channel.consume(f"{NAME}.q"):
        held.append((method, body))
        if len(held) == 10:
            ok = channel.queue_declare(f"{NAME}.q", passive=True).method
            say("held", len(held), ok.message_count)
            channel.basic_reject(held[0][0].delivery_tag, requeue=True)
            channel.basic_ack(held[9][0].delivery_tag, multiple=True)
            for delivery in held[1:]:
                got(*delivery)
        elif len(held) > 10:
            got(method, body)
            channel.basic_ack(method.delivery_tag)
        if len(held) == 101:
            break
    channel.cancel()
    ok = channel.queue_declare(f"{NAME}.q", passive=True).method
    say("left", ok.message_count, ok.consumer_count)
    connection.close()


def dead_letter():
    connection = connect()
    channel = connection.channel()
    declare(channel, f"{NAME}.dlx", "fanout", f"{NAME}.dead", "")
    declare(channel, f"{NAME}.x", "direct", f"{NAME}.q", "work",
            {"x-dead-letter-exchange": f"{NAME}.dlx"})
    publish_numbers(channel, 10)
    for method, _, body in channel.consume(f"{NAME}.q"):
        if int(body) % 2 == 0:
            channel.basic_ack(method.delivery_tag)
        else:
            channel.basic_nack(method.delivery_tag, requeue=False)
        if method.delivery_tag == 10:
            break
    channel.cancel()
    died = 0
    for method, properties, body in channel.consume(f"{NAME}.dead"):
        death = properties.headers["x-death"][0]
        say("dead", body.decode(), death["reason"], death["queue"], death["count"],
            death["exchange"], death["routing-keys"][0])
        channel.basic_ack(method.delivery_tag)
        died += 1
        if died == 5:
            break
    channel.cancel()
    say("left", channel.queue_declare(f"{NAME}.q", passive=True).method.message_count)
    connection.close()


class Outage:
    """What a run with an outage knows across connections."""

    def __init__(self):
        self.next = 0
        self.total = None
        self.seen = set()
        self.recovering = False

    def run(self):
        while True:
            try:
                connection = connect()
                self.serve(connection)
                say("done", self.total)
                connection.close()
                return
            except pika.exceptions.AMQPConnectionError as error:
                print(repr(error), file=sys.stderr, flush=True)
                if not self.recovering:
                    say("lost")
                self.recovering = True
                time.sleep(0.05)

    def serve(self, connection):
        channel = connection.channel()
        for queue in (f"{NAME}.kept", f"{NAME}.worked"):
            declare(channel, f"{NAME}.x", "fanout", queue, "")
        channel.confirm_delivery()
        channel.basic_qos(prefetch_count=20)
        channel.basic_consume(f"{NAME}.worked", self.on_delivery)
        if self.recovering:
            say("recovered")
            self.recovering = False
            self.total = self.next + 50
        while self.next != self.total:
            channel.basic_publish(f"{NAME}.x", "", str(self.next), PERSISTENT)
            say("confirmed", self.next)
            self.next += 1
            connection.process_data_events(0)
        while len(self.seen) != self.total:
            connection.process_data_events(1)

    def on_delivery(self, channel, method, _, body):
        got(method, body)
        self.seen.add(int(body))
        channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    SCENARIO, PORT, NAME = sys.argv[1:]
    {"work": work, "dead-letter": dead_letter, "recover": Outage().run}[SCENARIO]()
