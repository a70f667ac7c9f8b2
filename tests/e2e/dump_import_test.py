#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""warren-dump import takes what the broker would take from clients, and nothing else."""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika

from dump_case import DUMP, DUMP_SECONDS, StoreCase, dump, dump_lines, fingerprint
from e2e_case import run

POLICY = {"kind": "policy", "vhost": "/", "name": "p", "pattern": "^q", "apply_to": "queues",
          "definition": {"max-length": 5}}
QUEUE = {"kind": "queue", "vhost": "/", "name": "made"}
EXCHANGE = {"kind": "exchange", "vhost": "/", "name": "made-x", "type": "direct"}
BINDING = {"kind": "binding", "vhost": "/", "source": "made-x", "to": "queue",
           "destination": "made", "routing_key": "k"}
HASHED = {"kind": "exchange", "vhost": "/", "name": "hashed", "type": "x-consistent-hash"}
USER = {"kind": "user", "name": "someone", "password_hash": "", "hashing_algorithm": ""}
PERMISSION = {"kind": "permission", "user": "guest", "vhost": "/", "configure": "", "write": "",
              "read": ".*"}

# Lines, and what is said of the last one.
REFUSED = [
    ([{**POLICY, "pattern": "("}], "not a regular expression"),
    ([{**POLICY, "pattern": "(?=a)"}], "not a regular expression"),
    ([{**POLICY, "definition": {"max-lenth": 5}}], "'max-lenth' is not a recognised"),
    ([{**POLICY, "definition": {"max-length": "5"}}], "unacceptable type"),
    ([{**POLICY, "vhost": "nov"}], "refers to vhost 'nov'"),
    ([{**EXCHANGE, "type": "nosuchtype"}], "unknown exchange type 'nosuchtype'"),
    ([{**EXCHANGE, "name": "amq.mine"}], "reserved"),
    ([{**EXCHANGE, "durable": False}], "durable"),
    ([{**EXCHANGE, "type": "x-delayed-message"}], "'x-delayed-type' must be an existing"),
    ([{**QUEUE, "vhost": "nov"}], "refers to vhost 'nov'"),
    ([{**QUEUE, "arguments": {"x-message-ttl": -5}}], "value -5 is below 0"),
    ([{**QUEUE, "argments": {"x-message-ttl": 5}}], "unknown member 'argments'"),
    ([{**QUEUE, "durable": False}], "durable"),
    ([{**QUEUE, "exclusive": True}], "exclusive"),
    ([QUEUE, {**BINDING, "source": "nope"}], "no exchange 'nope' in vhost '/'"),
    ([QUEUE, {**BINDING, "source": "amq.nope"}], "no exchange 'amq.nope'"),
    ([QUEUE, {**BINDING, "source": ""}], "the default exchange"),
    ([EXCHANGE, {**BINDING, "destination": "nope"}], "refers to queue 'nope'"),
    ([EXCHANGE, {**BINDING, "to": "exchange", "destination": "nope"}],
     "refers to exchange 'nope'"),
    ([HASHED, QUEUE, {**BINDING, "source": "hashed", "routing_key": "notanumber"}],
     "must be an integer"),
    ([{**PERMISSION, "user": "nobody"}], "refers to user 'nobody'"),
    ([USER, {**PERMISSION, "user": "someone", "read": "("}], "not a regular expression"),
    ([{**USER, "password_hash": "xx", "hashing_algorithm": "md5"}], "password hash"),
]


class Import(StoreCase):
    def lines(self, *lines):
        """A file of them; the broker is stopped."""
        messages = sum(line["kind"] == "message" for line in lines)
        path = self.folder / "lines.jsonl"
        whole = [{"kind": "warren-export", "format": 1, "store": "x"}, *lines,
                 {"kind": "end", "messages": messages}]
        path.write_text("".join(json.dumps(line) + "\n" for line in whole), encoding="utf-8")
        self.broker.terminate()
        return str(path)

    def test_what_the_broker_would_refuse_is_refused_by_line_and_changes_nothing(self):
        before = None
        for lines, why in REFUSED:
            with self.subTest(why=why, line=lines[-1]):
                path = self.lines(*lines)
                before = before or fingerprint(self.data)
                done = subprocess.run([DUMP, "--data-dir", self.data, "import", path],
                                      capture_output=True, timeout=DUMP_SECONDS, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stderr.decode())
                self.assertIn(f"line {1 + len(lines)}:", done.stderr.decode())
                self.assertEqual(fingerprint(self.data), before)

    def test_definitions_written_by_hand_are_in_force_in_any_order(self):
        queue, key = self.name(), "5"
        dump(self.data, "import", self.lines(
            {**BINDING, "source": "by-hand", "destination": queue, "routing_key": key},
            {**BINDING, "source": "amq.fanout", "destination": queue},
            {**BINDING, "source": "amq.topic", "to": "exchange", "destination": "by-hand"},
            {"kind": "queue", "vhost": "/", "name": queue, "arguments": {"x-max-length": 2}},
            {**EXCHANGE, "name": "by-hand", "type": "x-consistent-hash"}))
        found = [row for row in dump_lines(self.data, "queues") if row["queue"] == queue]
        self.assertTrue(found[0]["durable"])
        dump(self.data, "check")
        self.broker.start()
        channel = self.confirming()
        for source in ("by-hand", "amq.fanout", "amq.topic"):
            channel.basic_publish(source, "k", source.encode())
        self.assertEqual(self.bodies(channel, queue, 2), [b"amq.fanout", b"amq.topic"])

    def test_an_imported_delayed_exchange_keeps_what_is_not_due(self):
        queue = self.name()
        dump(self.data, "import", self.lines(
            {**QUEUE, "name": queue},
            {**EXCHANGE, "name": "later", "type": "x-delayed-message",
             "arguments": {"x-delayed-type": "fanout"}},
            {**BINDING, "source": "later", "destination": queue}))
        dump(self.data, "check")
        self.broker.start()
        channel = self.confirming()
        channel.basic_publish("later", "k", b"late", pika.BasicProperties(
            delivery_mode=2, headers={"x-delay": 100}))
        self.assertEqual(self.bodies(channel, queue, 1), [b"late"])

    def test_a_message_that_does_not_say_when_is_published_now(self):
        queue = self.name()
        message = {"kind": "message", "vhost": "/", "queue": queue, "exchange": "",
                   "routing_key": queue, "body": "fresh"}
        before_ms = time.time_ns() // 1_000_000
        dump(self.data, "import", self.lines(
            {**QUEUE, "name": queue, "arguments": {"x-message-ttl": 3_600_000}},
            message, {**message, "body": "stale", "published_ms": 5}))
        exported = [row for row in dump_lines(self.data, "export", queue)
                    if row["kind"] == "message"]
        self.assertEqual(exported[1]["published_ms"], 5)
        self.assertGreaterEqual(exported[0]["published_ms"], before_ms)
        self.assertLessEqual(exported[0]["published_ms"], time.time_ns() // 1_000_000)
        self.broker.start()
        channel = self.channel()
        self.assertEqual(self.bodies(channel, queue, 1), [b"fresh"])
        self.assert_empty(channel, queue)


if __name__ == "__main__":
    run()
