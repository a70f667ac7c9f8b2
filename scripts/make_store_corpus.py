#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed inputs of the fuzzers of stored bytes, into tests/fuzz/corpus/.

Lays the bytes out by itself, from storage/FORMAT.md: what reads them was not what wrote them.
The fuzzers add checksums themselves. The result is checked in.

    scripts/make_store_corpus.py [OUTPUT_DIRECTORY]
"""

import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "fuzz" / "corpus"


def reference(origin, number, size):
    return struct.pack(">QQI", origin, number, size)


def chunk(log, messages, shared=()):
    """messages: (seq, block), ascending; which of them are references. Everything behind the
    checksum."""
    first, last = messages[0][0], messages[-1][0]
    index, payload = b"", b""
    for number, (seq, block) in enumerate(messages):
        payload += block
        index += struct.pack(">II", seq - first, len(payload) | (number in shared) << 31)
    return (struct.pack(">4sBBHIQQQQ", b"WCHK", 2 if shared else 1, 0, 0, len(messages), log,
                        first, last, len(payload)) + index + payload)


def acks(form, count, rest):
    return struct.pack(">BI", form, count) + rest


def part(text):
    return text.replace(b"\0", b"\0\xFF") + b"\0\x01"


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """One of protobuf: bytes, or an integer."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def record(kind, *values):
    """Values in the order of their field numbers, from 1; None leaves one out."""
    return bytes([kind]) + b"".join(field(number, value)
                                    for number, value in enumerate(values, 1) if value is not None)


def state(head, upto, count, size, mark, *more):
    out = struct.pack(">QQQQQ", head, upto, count, size, mark)
    return out + (struct.pack(">QB", *more) if more else b"")


TABLE = b"\x0Cx-max-lengthI\0\0\x03\xE8"
CHUNK = {
    "one": chunk(1, [(1, b"hello")]),
    "gap": chunk(1, [(2, b"ab"), (5, b"c")]),
    "empty_blocks": chunk(9, [(7, b""), (8, b""), (9, b"x")]),
    "many": chunk(3, [(seq, b"%d" % seq) for seq in range(100, 200)]),
    "wrong_count": struct.pack(">4sBBHIQQQQ", b"WCHK", 1, 0, 0, 2**32 - 1, 1, 1, 1, 0),
    "newer": b"WCHK\x03" + bytes(39),
    "shared": chunk(1, [(2, b"own"), (3, reference(65536, 1, 70000)), (7, b"")], shared=(1,)),
    "no_reference": chunk(1, [(2, b"19 bytes are no ref")], shared=(0,)),
}
ACK_SET = {
    "bitmap": acks(0, 10, b"\x05\x02"),
    "runs": acks(1, 1000, struct.pack(">IIIII", 2, 0, 5, 900, 100)),
    "touching": acks(1, 10, struct.pack(">IIIII", 2, 0, 5, 5, 1)),
    "unused_bits": acks(0, 3, b"\xF1"),
    "none": acks(1, 0, struct.pack(">I", 0)),
}
KEYS = {
    "chunk": struct.pack(">QQ", 1, 5), "log": struct.pack(">Q", 7),
    "due": struct.pack(">QQQ", 1, 1795269552000, 5),
    "sweep": b"sweep" + struct.pack(">QQQ", 1, 5, 9),
    "parts": part(b"/") + part(b"a\0b") + part(b""), "cut": b"abc\0", "bad": b"a\0\x02",
}
DEFINITION = {
    "vhost": record(1, b"/"),
    "user": record(2, b"guest", b"hash", b"rabbit_password_hashing_sha256", b"administrator"),
    "permission": record(3, b"guest", b"/", b".*", b".*", b""),
    "exchange": record(4, b"/", b"events", b"topic", 1, 0, 0, TABLE),
    "queue": record(5, b"/", b"orders", 12, 1, None, None, TABLE),
    "priority_queue": record(5, b"/", b"orders", 12, 1, None, None, TABLE, 10),
    "binding": record(6, b"/", b"events", 0, b"orders", b"a.#", TABLE),
    "meta": field(1, b"0d0bd0ac-4d3c-4a1e-9c0e-000000000000") + field(2, 1001) + field(3, 1),
    "no_log": record(5, b"/", b"orders", 0),
}
LOG_STATE = {
    "version_1": b"\x01" + state(5, 11, 3, 7, 6),
    "version_2": b"\x02" + state(5, 11, 3, 7, 6, 4, 3),
    "head_above_next": b"\x02" + state(12, 11, 3, 7, 6, 4, 3),
    "shared": b"\x02" + state(5, 11, 3, 7, 6, 4, 7),
    "references": b"\x01" + struct.pack(">QQQQ", 65536, 1, 65537, 9),
    "returns": b"\x01" + struct.pack(">I", 3), "due": b"\x01" + struct.pack(">Q", 17),
}
ENVELOPE = {"empty": b"", "short": b"\0\0\0", "text": b"payload", "long": bytes(range(256)) * 3}
LOG_SCAN = {"empty": b"", "zeros": bytes(600), "header": b"\x12\x34\x56\x78\x04\0\x01data",
            "block": b"\xA5" * 32768 + b"\0" * 100}
EXPORT_LINE = {
    "head": {"kind": "warren-export", "format": 1, "store": "id"},
    "end": {"kind": "end", "messages": 2},
    "vhost": {"kind": "vhost", "name": "/"},
    "user": {"kind": "user", "name": "u", "password_hash": "h", "hashing_algorithm": "a",
             "tags": ["administrator", {"tag_base64": "/w=="}]},
    "permission": {"kind": "permission", "user": "u", "vhost": "/", "configure": ".*",
                   "write": "", "read": "^a"},
    "exchange": {"kind": "exchange", "vhost": "/", "name": "e", "type": "topic", "durable": True,
                 "arguments": {"alternate-exchange": "other"}},
    "queue": {"kind": "queue", "vhost": "/", "name_base64": "/w==", "durable": True,
              "arguments_wire": "AXhJAAAAAQ=="},
    "binding": {"kind": "binding", "vhost": "/", "source": "e", "to": "queue", "destination": "q",
                "routing_key": "a.#", "arguments": {"x-match": "any", "n": 5}},
    "message": {"kind": "message", "vhost": "/", "queue": "q", "seq": 1, "published_ms": 5,
                "flags": 1, "priority": 3, "exchange": "", "routing_key": "q",
                "properties": {"content_type": "text/plain", "delivery_mode": 2, "headers": {
                    "a": [1, True, None, 2.5, {"base64": "AAE="}, {"timestamp": 7}],
                    "d": {"decimal": {"scale": 2, "unscaled": 1999}}}}, "body": "hello"},
    "message_wire": {"kind": "message", "vhost": "/", "queue": "q", "exchange": "",
                     "routing_key_base64": "/w==", "properties_wire": "EAAC",
                     "body_base64": "AAECAw=="},
}
CONFIG = {
    "all": b"# comment\ndata-dir = \"/tmp/x\"\nlisten = [\"127.0.0.1:5672\", \"[::1]:5672\"]\n"
           b"threads = 4\nheartbeat = 30\nmax-message-size = 64MiB\n",
    "unknown": b"no-such-option = 1\n", "section": b"[section]\nthreads = 2\n",
    "quotes": b"compat-product = 'it''s'\nlog-level = \"debug\n", "range": b"threads = 65\n",
}

CORPORA = {"chunk": CHUNK, "ack_set": ACK_SET, "keys": KEYS, "definition": DEFINITION,
           "log_state": LOG_STATE, "envelope": ENVELOPE, "log_scan": LOG_SCAN, "config": CONFIG,
           "export_line": {name: json.dumps(line, separators=(",", ":")).encode()
                           for name, line in EXPORT_LINE.items()}}


def main():
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    for target, inputs in CORPORA.items():
        (output / target).mkdir(parents=True, exist_ok=True)
        for name, content in inputs.items():
            (output / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
