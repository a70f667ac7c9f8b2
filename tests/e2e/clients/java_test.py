#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Java client, with its own recovery; and what Spring AMQP reads through it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import made
from e2e_case import run

JARS = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar"


class Java(client_case.EveryClient):
    @classmethod
    def program(cls):
        classes = made("java", ["javac", "-Xlint:all", "-Werror", "-cp", JARS, "-d", ".",
                                "Client.java", "Outage.java", "Notices.java"])
        # Quick to start, and no files in /tmp.
        return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
                "-cp", f"{classes}:{JARS}", "Client"]

    def test_recovers_after_a_stop(self):
        client = self.client("stop")
        client.wait_for("ready")
        self.broker.restart()
        client.finish()
        self.assertEqual(client.all("recovered"), [[]])
        self.assertEqual(client.all("got"), [["after"]])

    # Spring tells cases apart by the code, the class, the method, and one word of the text.
    def test_a_channel_close_names_its_cause(self):
        done = self.run_client("closes")
        closed = done.all("closed")
        self.assertEqual([words[:3] for words in closed], [
            ["404", "50", "10"], ["406", "50", "10"], ["406", "40", "10"], ["403", "60", "20"],
            ["404", "60", "40"], ["200", "0", "0"]])
        self.assertIn("exclusive", closed[3])
        self.assertEqual(closed[5][3:], ["OK"])
        self.assertEqual(done.all("refused"), [[]])

    def test_notices_arrive(self):
        done = self.run_client("notices")
        self.assertRegex(done.all("version")[0][0], r"^[0-9]+\.[0-9]+\.[0-9]+$")
        self.assertEqual(done.all("confirmed"), [["true"]])
        self.assertEqual(done.all("info"), [["3", "1"]])
        self.assertEqual(done.all("cancelled"), [["tag"]])

    def test_rpc_over_direct_reply_to(self):
        done = self.run_client("rpc")
        self.assertEqual(done.all("reply-to"), [["0", "1"]])
        self.assertEqual(done.all("answer"), [["to", "one"], ["to", "two"]])


if __name__ == "__main__":
    run()
