# SPDX-License-Identifier: Apache-2.0
"""Kombu on py-amqp. The scenarios of ../README.md; ConsumerMixin and publish(retry=True)
recover. And:
  blocked   publishes ten messages while the disk is full: `blocked REASON`, `unblocked`,
            `confirmed N`"""

import socket
import sys
import threading

from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.mixins import ConsumerMixin

DRAIN_SECONDS = 30


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # one write: two threads speak
    sys.stdout.flush()


def connect(**options):
    return Connection(f"amqp://guest:guest@127.0.0.1:{PORT}//",
                      transport_options={"confirm_publish": True, **options})


def publish(producer, number, **options):
    producer.publish(str(number), content_type="text/plain", content_encoding="utf-8",
                     delivery_mode="persistent", **options)


def publish_numbers(producer, count):
    for number in range(count):
        publish(producer, number, routing_key="work")
        say("confirmed", number)


def drain(connection, condition):
    while not condition():
        connection.drain_events(timeout=DRAIN_SECONDS)


def got(message):
    say("got", message.body.decode() if isinstance(message.body, bytes) else message.body,
        int(message.delivery_info["redelivered"]))


def depth(queue):
    return queue.queue_declare(passive=True)[1:]


def work():
    connection = connect()
    exchange = Exchange(f"{NAME}.x", "direct")
    queue = Queue(f"{NAME}.q", exchange, "work")(connection.default_channel)
    queue.declare()

    def on_return(error, _, routing_key, message):
        say("returned", error.reply_code, error.reply_text)

    producer = Producer(connection.default_channel, exchange, on_return=on_return)
    publish_numbers(producer, 100)
    publish(producer, "lost", routing_key="nowhere", mandatory=True)

    held = []
    acked = []

    def take(message):
        held.append(message)
        if len(held) > 10:
            acked.append(message)
            got(message)
            message.ack()

    consumer = Consumer(connection.channel(), [queue], on_message=take, prefetch_count=10)
    with consumer:
        drain(connection, lambda: len(held) == 10)
        say("held", len(held), depth(queue)[0])
        held[0].requeue()
        held[9].ack(multiple=True)
        for message in held[1:]:
            got(message)
        drain(connection, lambda: len(acked) == 91)
    say("left", *depth(queue))
    connection.close()


def dead_letter():
    connection = connect()
    channel = connection.default_channel
    dead = Queue(f"{NAME}.dead", Exchange(f"{NAME}.dlx", "fanout"))(channel)
    dead.declare()
    exchange = Exchange(f"{NAME}.x", "direct")
    queue = Queue(f"{NAME}.q", exchange, "work", queue_arguments={
        "x-dead-letter-exchange": f"{NAME}.dlx"})(channel)
    queue.declare()
    publish_numbers(Producer(channel, exchange), 10)
    settled = []

    def settle(message):
        message.ack() if int(message.body) % 2 == 0 else message.reject()
        settled.append(message)

    with Consumer(channel, [queue], on_message=settle):
        drain(connection, lambda: len(settled) == 10)
    died = []

    def bury(message):
        death = message.headers["x-death"][0]
        say("dead", int(message.body), death["reason"], death["queue"], death["count"],
            death["exchange"], death["routing-keys"][0])
        message.ack()
        died.append(message)

    with Consumer(channel, [dead], on_message=bury):
        drain(connection, lambda: len(died) == 5)
    say("left", depth(queue)[0])
    connection.close()


class Worker(ConsumerMixin):
    """Consumes in a thread of its own; the main thread publishes on another connection."""

    def __init__(self):
        self.connection = connect()
        self.exchange = Exchange(f"{NAME}.x", "fanout")
        self.kept = Queue(f"{NAME}.kept", self.exchange)
        self.worked = Queue(f"{NAME}.worked", self.exchange)
        self.seen = set()
        self.ready = threading.Event()
        self.recovered = threading.Event()
        self.news = threading.Condition()
        self.outage = False

    def lost(self, *_):
        with self.news:
            if not self.outage:
                say("lost")
            self.outage = True

    def get_consumers(self, Consumer, channel):
        return [Consumer(queues=[self.worked], on_message=self.on_message, prefetch_count=20)]

    def on_connection_error(self, exc, interval):
        self.lost()

    def on_consume_ready(self, connection, channel, consumers, **kwargs):
        if self.ready.is_set():
            self.lost()
            say("recovered")
            self.recovered.set()
        self.ready.set()

    def on_message(self, message):
        got(message)
        message.ack()
        with self.news:
            self.seen.add(int(message.body))
            self.news.notify()

    def publish_all(self):
        """How many there were."""
        connection = connect()
        self.kept(connection.default_channel).declare()
        self.worked(connection.default_channel).declare()
        producer = Producer(connection.default_channel, self.exchange)
        policy = {"interval_start": 0.05, "interval_step": 0, "max_retries": 200,
                  "errback": self.lost}
        number = 0
        total = None
        while number != total:
            publish(producer, number, retry=True, retry_policy=policy)
            say("confirmed", number)
            number += 1
            if total is None and self.recovered.is_set():
                total = number + 50
        connection.close()
        return total

    def finish(self, total):
        with self.news:
            self.news.wait_for(lambda: len(self.seen) == total)
        self.should_stop = True


def recover():
    worker = Worker()
    # A lost connection is noticed within this time when nothing comes.
    consuming = threading.Thread(target=worker.run, kwargs={"safety_interval": 0.2}, daemon=True)
    consuming.start()
    worker.ready.wait()
    total = worker.publish_all()
    worker.finish(total)
    consuming.join()
    say("done", total)


def blocked():
    connection = connect(on_blocked=lambda reason: say("blocked", reason),
                         on_unblocked=lambda: say("unblocked"))
    exchange = Exchange(f"{NAME}.x", "direct")
    Queue(f"{NAME}.q", exchange, "work")(connection.default_channel).declare()
    publish_numbers(Producer(connection.default_channel, exchange), 10)
    connection.close()


if __name__ == "__main__":
    SCENARIO, PORT, NAME = sys.argv[1:]
    socket.setdefaulttimeout(DRAIN_SECONDS)
    {"work": work, "dead-letter": dead_letter, "recover": recover,
     "blocked": blocked}[SCENARIO]()
