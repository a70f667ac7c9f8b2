#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""connection.blocked and connection.unblocked, as those clients hear them that have a listener."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import amqplib_test
import bunny_test
import go_test
import java_test
import kombu_test
from client_case import Client
from e2e_case import run
from full_disk import FullDiskCase


class Blocked(FullDiskCase):
    def check(self, ecosystem, reason="low on disk"):
        command = ecosystem.program()
        self.fill()
        client = Client(self, [*command, "blocked", self.broker.port, self.name("run")],
                        ecosystem.ENVIRONMENT)
        self.assertEqual(" ".join(client.wait_for("blocked")), reason)
        self.assertEqual(client.all("unblocked"), [])
        self.ballast.unlink()
        client.wait_for("unblocked")
        client.finish()
        self.assertEqual(client.all("confirmed"), [[str(number)] for number in range(10)])

    def test_amqplib(self):
        self.check(amqplib_test.Newest)

    def test_bunny(self):
        self.check(bunny_test.Bunny)

    def test_go(self):
        self.check(go_test.Go)

    def test_java(self):
        self.check(java_test.Java)

    def test_kombu(self):
        # py-amqp has a text of its own.
        self.check(kombu_test.Kombu, "connection blocked, see broker logs")


if __name__ == "__main__":
    run()
