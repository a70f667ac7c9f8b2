#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's amqp-tools (librabbitmq, a client in C) against the broker."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from e2e_case import BrokerCase, run

TOOL_SECONDS = 20


class Tools(BrokerCase):
    def tool(self, name, *arguments, stdin=b"", code=0):
        done = subprocess.run(
            [f"/usr/bin/amqp-{name}", "-u", f"amqp://guest:guest@127.0.0.1:{self.broker.port}/%2f",
             *arguments], input=stdin, capture_output=True, timeout=TOOL_SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def declared(self, *options):
        name = self.name()
        out = self.tool("declare-queue", "-q", name, *options)
        self.assertEqual(out.decode().strip(), name)
        return name

    def test_publish_and_get(self):
        queue = self.declared("-d")
        self.tool("publish", "-r", queue, "-p", "-b", "from the shell")
        self.assertEqual(self.tool("get", "-q", queue), b"from the shell")
        self.tool("get", "-q", queue, code=2)

    def test_publish_from_stdin_and_consume(self):
        queue = self.declared()
        big = bytes(range(256)) * 4096
        self.tool("publish", "-r", queue, stdin=big)
        self.assertEqual(self.tool("consume", "-q", queue, "-c", "1", "cat"), big)

    def test_consume_many_with_prefetch(self):
        queue = self.declared("-d")
        self.tool("publish", "-r", queue, "-p", "-l", stdin=b"one\ntwo\nthree\nfour\n")
        got = self.tool("consume", "-q", queue, "-c", "4", "-p", "2", "cat")
        self.assertEqual(got.split(), [b"one", b"two", b"three", b"four"])
        self.tool("get", "-q", queue, code=2)

    def test_consume_from_an_exchange(self):
        queue = self.declared()
        self.channel().queue_bind(queue, "amq.topic", "a.#")
        self.tool("publish", "-e", "amq.topic", "-r", "a.b", "-b", "routed")
        self.tool("publish", "-e", "amq.topic", "-r", "b", "-b", "elsewhere")
        self.assertEqual(self.tool("consume", "-q", queue, "-c", "1", "cat"), b"routed")

    def test_delete_queue_counts_its_messages(self):
        queue = self.declared()
        for _ in range(3):
            self.tool("publish", "-r", queue, "-b", "x")
        self.assertEqual(self.tool("delete-queue", "-q", queue).strip(), b"3")

    def test_wrong_password_is_an_error(self):
        done = subprocess.run(
            ["/usr/bin/amqp-get", "-u", f"amqp://guest:wrong@127.0.0.1:{self.broker.port}",
             "-q", "any"], capture_output=True, timeout=TOOL_SECONDS, check=False)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    run()
