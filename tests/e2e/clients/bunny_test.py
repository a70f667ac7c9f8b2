#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bunny for Ruby, with its own recovery of connections, channels, queues and consumers."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import SOURCES
from e2e_case import run


class Bunny(client_case.EveryClient):
    @classmethod
    def program(cls):
        return ["ruby", SOURCES / "bunny/client.rb"]

    def test_errors_are_exceptions_and_callbacks(self):
        done = self.run_client("errors")
        self.assertEqual(done.all("raised"), [
            ["Bunny::NotFound"], ["Bunny::PreconditionFailed"],
            ["Bunny::AuthenticationFailureError"]])
        # Bunny finds out by this text that no method waits for an answer.
        code, *text = done.all("channel-error")[0]
        self.assertEqual(code, "406")
        self.assertIn("unknown delivery tag 77", " ".join(text))
        self.assertEqual(done.all("cancelled"), [[]])

    def test_recovers_after_a_stop(self):
        client = self.client("stop")
        client.wait_for("ready")
        self.broker.restart()
        self.assertEqual(client.finish().all("got"), [["after"]])


if __name__ == "__main__":
    run()
