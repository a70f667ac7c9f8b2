#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one of the committed stores beside this file: fills a broker, kills it, packs what it left.

    tests/stores/make_store.py NAME      NAME/store.tar.xz and NAME/expected.json

The broker is build/release/bin/warrend or $WARREN_BROKER. A store that is committed is never made
again: e2e/stores_test.py opens and drains it with every later version.
"""

import base64
import json
import pathlib
import random
import sys
import tarfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import pika

from broker_process import Broker

BYTES_MAX = 200 << 10


def publish(channel, exchange, key, body, **properties):
    channel.basic_publish(exchange, key, body,
                          pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)


def fill(broker):
    """Definitions of every kind and messages in every state that a store can keep."""
    random.seed(1)  # every run makes the same messages
    connection = pika.BlockingConnection(pika.ConnectionParameters(broker.host, broker.port))
    channel = connection.channel()
    channel.confirm_delivery()
    for kind in ("direct", "fanout", "topic", "headers"):
        channel.exchange_declare(f"{kind} exchange", kind, durable=True)
    channel.exchange_bind("fanout exchange", "topic exchange", "to.fanout.#")
    for name, arguments in (("plain", None), ("partly acked", None), ("with bodies", None),
                            ("given back", None), ("empty", None), ("emptied", None),
                            ("f\u00e4cher", None),
                            ("limited", {"x-max-length": 1000, "x-overflow": "reject-publish"}),
                            ("priorities", {"x-max-priority": 3})):
        channel.queue_declare(name, durable=True, arguments=arguments)
    channel.queue_declare("transient", durable=False)
    for name in ("plain", "f\u00e4cher"):
        channel.queue_bind(name, "fanout exchange")
    channel.queue_bind("limited", "headers exchange", "", {"x-match": "all", "n": 1, "s": "t"})
    channel.queue_bind("plain", "topic exchange", "a.*")

    for number in range(50):
        publish(channel, "fanout exchange", f"key {number}", b"fanned %d" % number,
                message_id=f"id {number}", headers={"n": number, "list": [1, "two", None, True]})
    publish(channel, "topic exchange", "a.b", b"by topic", content_type="text/plain", type="t")
    publish(channel, "headers exchange", "", b"by headers", headers={"n": 1, "s": "t"})
    for number in range(40):
        publish(channel, "", "partly acked", b"partly %d" % number)
        publish(channel, "", "priorities", b"priority %d" % number, priority=number % 5)
        publish(channel, "", "given back", b"back %d" % number)
        publish(channel, "", "emptied", b"gone %d" % number)
    for size in (0, 1, 1023, 1024, 5000, 30_000):
        publish(channel, "", "with bodies", random.randbytes(size), correlation_id=str(size))
    # Stored once for two queues, since format 2.
    for size in (4096, 4097):
        publish(channel, "fanout exchange", "large", random.randbytes(size), message_id=str(size))
    channel.queue_purge("emptied")
    # Holes in chunks, from both ends and in the middle.
    tags = [channel.basic_get("partly acked")[0].delivery_tag for _ in range(30)]
    for tag in tags[:5] + tags[7:20:3] + tags[29:]:
        channel.basic_ack(tag)
    for _ in range(10):
        channel.basic_get("given back")
    channel.basic_nack(0, multiple=True, requeue=True)
    time.sleep(0.5)  # acks are committed by a timer
    return connection


def drain(broker):
    """queue -> its messages in order, as the oracle keeps them."""
    connection = pika.BlockingConnection(pika.ConnectionParameters(broker.host, broker.port))
    channel = connection.channel()
    out = {}
    for queue in ("plain", "partly acked", "with bodies", "given back", "empty", "emptied",
                  "f\u00e4cher", "limited", "priorities"):
        out[queue] = []
        while True:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None:
                break
            out[queue].append({
                "body": base64.b64encode(body).decode(), "exchange": method.exchange,
                "routing_key": method.routing_key, "redelivered": method.redelivered,
                "properties": {name: value for name, value in vars(properties).items()
                               if value is not None}})
    connection.close()
    return out


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = HERE / sys.argv[1]
    target.mkdir()
    broker = Broker(threads=1)
    try:
        broker.start()
        connection = fill(broker)
        broker.kill()
        del connection
        with tarfile.open(target / "store.tar.xz", "w:xz") as archive:
            archive.add(broker.data_dir, "data")
        broker.start()
        expected = json.dumps(drain(broker), indent=1, sort_keys=True, ensure_ascii=True)
        (target / "expected.json").write_text(expected + "\n", encoding="ascii")
    finally:
        broker.close()
    size = sum(path.stat().st_size for path in target.iterdir())
    if size > BYTES_MAX:
        sys.exit(f"{target}: {size} bytes, at most {BYTES_MAX}")
    print(f"{target}: {size} bytes")


if __name__ == "__main__":
    main()
