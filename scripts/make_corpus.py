#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed inputs of the fuzzers, tests/fuzz/corpus/.

Encodes by itself, on purpose: what the codec reads was not written by it. The result is checked in.

    scripts/make_corpus.py [OUTPUT_DIRECTORY]
"""

import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "fuzz" / "corpus"

PROTOCOL_HEADER = b"AMQP\0\0\x09\x01"


def shortstr(text):
    return bytes([len(text)]) + text


def longstr(content):
    return struct.pack(">I", len(content)) + content


def entry(name, letter, value):
    return shortstr(name) + letter + value


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xCE"


def method(class_id, method_id, arguments=b""):
    return struct.pack(">HH", class_id, method_id) + arguments


def content_header(body_size, properties):
    return struct.pack(">HHQ", 60, 0, body_size) + properties


ALL_TYPES = b"".join([
    entry(b"a", b"S", longstr(b"text")),
    entry(b"b", b"t", b"\x01"),
    entry(b"c", b"b", b"\xFF"),
    entry(b"d", b"B", b"\xFF"),
    entry(b"e", b"s", b"\xFF\xFE"),
    entry(b"f", b"u", b"\xFF\xFE"),
    entry(b"g", b"I", b"\xFF\xFF\xFF\xFD"),
    entry(b"h", b"i", b"\xFF\xFF\xFF\xFD"),
    entry(b"i", b"l", b"\xFF" * 8),
    entry(b"j", b"L", b"\x00" * 7 + b"\x04"),
    entry(b"k", b"f", struct.pack(">f", 1.5)),
    entry(b"l", b"d", struct.pack(">d", 1.5)),
    entry(b"m", b"D", b"\x02\x00\x00\x01\x3A"),
    entry(b"n", b"T", struct.pack(">Q", 1700000000)),
    entry(b"o", b"F", longstr(entry(b"x", b"V", b""))),
    entry(b"p", b"A", longstr(b"Vt\x00t\x01")),
    entry(b"q", b"x", longstr(b"\x00\xFF")),
    entry(b"r", b"V", b""),
])
QUEUE_ARGUMENTS = b"".join([
    entry(b"x-message-ttl", b"I", struct.pack(">i", 60000)),
    entry(b"x-queue-type", b"S", longstr(b"classic")),
    entry(b"x-dead-letter-exchange", b"S", longstr(b"dlx")),
])
X_DEATH = entry(b"x-death", b"A", longstr(b"F" + longstr(b"".join([
    entry(b"count", b"l", struct.pack(">q", 1)),
    entry(b"reason", b"S", longstr(b"expired")),
    entry(b"queue", b"S", longstr(b"q")),
    entry(b"time", b"T", struct.pack(">Q", 1700000000)),
    entry(b"exchange", b"S", longstr(b"")),
    entry(b"routing-keys", b"A", longstr(b"S" + longstr(b"q"))),
]))))


def nested(letter, depth):
    content = entry(b"k", b"V", b"") if letter == b"F" else b"V"
    for _ in range(depth):
        inner = longstr(content)
        content = entry(b"k", b"F", inner) if letter == b"F" else b"A" + inner
    return content if letter == b"F" else b"\x01k" + content


FIELD_TABLES = {
    "empty": b"",
    "all_types": ALL_TYPES,
    "queue_arguments": QUEUE_ARGUMENTS,
    "x_death": X_DEATH,
    "tables_31_deep": nested(b"F", 31),
    "tables_40_deep": nested(b"F", 40),
    "arrays_31_deep": nested(b"A", 31),
    "arrays_40_deep": nested(b"A", 40),
    "duplicate_names": entry(b"k", b"t", b"\x01") + entry(b"k", b"t", b"\x02"),
    "length_too_long": b"\x01kS\xFF\xFF\xFF\xFFx",
    "unknown_letter": b"\x01k?",
}

METHODS = {
    "start": method(10, 10, b"\x00\x09" + longstr(ALL_TYPES) + longstr(b"PLAIN AMQPLAIN") +
                    longstr(b"en_US")),
    "start_ok": method(10, 11, longstr(entry(b"product", b"S", longstr(b"fuzz"))) +
                       shortstr(b"PLAIN") + longstr(b"\0guest\0guest") + shortstr(b"en_US")),
    "tune_ok": method(10, 31, struct.pack(">HIH", 2047, 131072, 60)),
    "open": method(10, 40, shortstr(b"/") + shortstr(b"") + b"\x01"),
    "close": method(10, 50, b"\x00\xC8" + shortstr(b"OK") + b"\x00\x00\x00\x00"),
    "channel_open": method(20, 10, shortstr(b"")),
    "exchange_declare": method(40, 10, b"\x00\x00" + shortstr(b"x") + shortstr(b"topic") + b"\x02" +
                               longstr(b"")),
    "exchange_bind": method(40, 30, b"\x00\x00" + shortstr(b"d") + shortstr(b"s") +
                            shortstr(b"a.#") + b"\x00" + longstr(b"")),
    "queue_declare": method(50, 10, b"\x00\x00" + shortstr(b"q") + b"\x02" +
                            longstr(QUEUE_ARGUMENTS)),
    "queue_bind": method(50, 20, b"\x00\x00" + shortstr(b"q") + shortstr(b"x") + shortstr(b"a.*") +
                         b"\x00" + longstr(b"")),
    "queue_delete": method(50, 40, b"\x00\x00" + shortstr(b"q") + b"\x07"),
    "qos": method(60, 10, struct.pack(">IHB", 0, 10, 1)),
    "consume": method(60, 20, b"\x00\x00" + shortstr(b"q") + shortstr(b"tag") + b"\x0A" +
                      longstr(entry(b"x-priority", b"I", struct.pack(">i", -5)))),
    "publish": method(60, 40, b"\x00\x00" + shortstr(b"x") + shortstr(b"key") + b"\x01"),
    "deliver": method(60, 60, shortstr(b"tag") + struct.pack(">QB", 1, 1) + shortstr(b"x") +
                      shortstr(b"key")),
    "ack": method(60, 80, struct.pack(">QB", 7, 1)),
    "nack": method(60, 120, struct.pack(">QB", 7, 3)),
    "confirm_select": method(85, 10, b"\x01"),
    "tx_commit": method(90, 20),
    "unknown": method(60, 41),
}

PROPERTIES = {
    "none": content_header(0, b"\x00\x00"),
    "persistent": content_header(5, b"\x10\x00\x02"),
    "everything": content_header(1 << 40, b"\xFF\xFC" + shortstr(b"text/plain") +
                                 shortstr(b"utf-8") + longstr(X_DEATH) + b"\x02\x09" +
                                 shortstr(b"correlation") + shortstr(b"reply") +
                                 shortstr(b"60000") + shortstr(b"id") +
                                 struct.pack(">Q", 1700000000) + shortstr(b"type") +
                                 shortstr(b"guest") + shortstr(b"app") + shortstr(b"cluster")),
    "headers": content_header(1, b"\x20\x00" + longstr(ALL_TYPES)),
    "rpc": content_header(1, b"\x06\x00" + shortstr(b"correlation") +
                          shortstr(b"amq.rabbitmq.reply-to")),
    "continuation": content_header(1, b"\x00\x01\x00\x00"),
    "trailing_byte": content_header(1, b"\x10\x00\x02\x00"),
    "weight": struct.pack(">HHQ", 60, 1, 0) + b"\x00\x00",
}

FRAME_MAX = struct.pack(">H", 4096)
FRAMES = {
    "protocol_header": PROTOCOL_HEADER,
    "heartbeat": FRAME_MAX + frame(8, 0, b""),
    "methods": FRAME_MAX + b"".join(frame(1, 1, payload) for payload in METHODS.values()),
    "publish": FRAME_MAX + frame(1, 1, METHODS["publish"]) + frame(2, 1, PROPERTIES["persistent"]) +
               frame(3, 1, b"hello"),
    "largest": struct.pack(">H", 16) + frame(3, 1, b"12345678"),
    "too_large": struct.pack(">H", 16) + frame(3, 1, b"123456789"),
    "bad_end": FRAME_MAX + frame(3, 1, b"body")[:-1] + b"\x00",
    "bad_type": FRAME_MAX + frame(9, 1, b""),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

LOGIN = entry(b"LOGIN", b"S", longstr(b"guest"))
PASSWORD = entry(b"PASSWORD", b"S", longstr(b"secret"))
SASL = {
    "plain": b"\0guest\0secret",
    "plain_authzid": b"other\0guest\0secret",
    "plain_three": b"\0guest\0secret\0",
    "amqplain": LOGIN + PASSWORD,
    "amqplain_reversed": PASSWORD + LOGIN,
    "amqplain_no_password": LOGIN,
    "amqplain_boolean": LOGIN + entry(b"PASSWORD", b"t", b"\x01"),
}



def publish(exchange, key, body, properties=b"\x10\x00\x02"):
    return (frame(1, 1, method(60, 40, b"\0\0" + shortstr(exchange) + shortstr(key) + b"\0"))
            + frame(2, 1, content_header(len(body), properties)) + frame(3, 1, body))


DECLARE = frame(1, 1, method(50, 10, b"\0\0" + shortstr(b"mine") + b"\x02" + longstr(b"")))
CONSUME = frame(1, 1, method(60, 20, b"\0\0" + shortstr(b"mine") + shortstr(b"c") + b"\0"
                             + longstr(b"")))
BIND = frame(1, 1, method(50, 20, b"\0\0" + shortstr(b"mine") + shortstr(b"amq.topic")
                          + shortstr(b"a.#") + b"\0" + longstr(b"")))
CLOSE = frame(1, 0, method(10, 50, b"\0\xC8" + shortstr(b"bye") + b"\0\0\0\0"))
START_OK = frame(1, 0, method(10, 11, longstr(b"") + shortstr(b"PLAIN")
                              + longstr(b"\0guest\0guest") + shortstr(b"en_US")))
TUNE_OK = frame(1, 0, method(10, 31, struct.pack(">HIH", 2047, 131072, 60)))
OPEN = frame(1, 0, method(10, 40, shortstr(b"/") + b"\0\0"))
# The first octet chooses: 1 two shards, 2 from the protocol header on.
SESSION = {
    "handshake": b"\x02" + PROTOCOL_HEADER + START_OK + TUNE_OK + OPEN
                 + frame(1, 1, method(20, 10, b"\0")) + CLOSE,
    "publish_consume_ack": b"\x00" + frame(1, 1, method(85, 10, b"\0")) + DECLARE + CONSUME
                           + publish(b"", b"mine", b"one") + publish(b"", b"mine", b"two")
                           + frame(1, 1, method(60, 80, struct.pack(">QB", 2, 1))) + CLOSE,
    "topic_two_shards": b"\x01" + DECLARE + BIND + publish(b"amq.topic", b"a.b.c", b"x" * 300)
                        + publish(b"", b"q", b"near") + CONSUME
                        + frame(1, 1, method(60, 120, struct.pack(">QB", 1, 2)))
                        + frame(1, 1, method(60, 110, b"\x01")),
    "get_reject_qos": b"\x01" + frame(1, 1, method(60, 10, struct.pack(">IHB", 0, 1, 1)))
                      + publish(b"", b"q", b"m")
                      + frame(1, 1, method(60, 70, b"\0\0" + shortstr(b"q") + b"\0"))
                      + frame(1, 1, method(60, 90, struct.pack(">QB", 1, 1)))
                      + frame(1, 1, method(50, 30, b"\0\0" + shortstr(b"q") + b"\0"))
                      + frame(1, 1, method(50, 40, b"\0\0" + shortstr(b"q") + b"\0")),
    "channel_error": b"\x00" + frame(1, 1, method(60, 80, struct.pack(">QB", 99, 0)))
                     + frame(1, 1, method(20, 41)) + frame(1, 1, method(20, 10, b"\0")) + DECLARE,
    "http": b"\x02GET / HTTP/1.1\r\n",
}

CORPORA = {
    "frame_reader": FRAMES,
    "method": METHODS,
    "field_table": FIELD_TABLES,
    "properties": PROPERTIES,
    "sasl": SASL,
    "session": SESSION,
}


def main():
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    for target, inputs in CORPORA.items():
        (output / target).mkdir(parents=True, exist_ok=True)
        for name, content in inputs.items():
            (output / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
