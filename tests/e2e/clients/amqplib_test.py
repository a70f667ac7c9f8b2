#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""amqplib for Node.js: the newest, and 0.10.5, which asks for frames of 4 KiB."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import MADE, made
from e2e_case import run


class Newest(client_case.EveryClient):
    ENVIRONMENT = {"AMQPLIB": "amqplib"}
    FRAME_MAX = "131072"

    @classmethod
    def program(cls):
        folder = made("amqplib", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                                  "--fetch-retries=2", "--fetch-timeout=30000",
                                  "--fetch-retry-maxtimeout=10000",
                                  f"--cache={MADE / 'npm-cache'}"])
        return ["node", folder / "client.js"]

    def test_bodies_are_split_at_the_agreed_frame_size(self):
        done = self.run_client("frames")
        self.assertEqual(done.all("frame-max"), [[self.FRAME_MAX]])
        self.assertEqual(done.all("back"), [["300001", "true", "2000"]])

    def test_errors_arrive_as_events(self):
        done = self.run_client("errors")
        # Passive declare, unequal declare, unknown delivery tag.
        self.assertEqual(done.all("channel-error"), [
            ["404", "50", "10"], ["406", "50", "10"], ["406", "60", "80"]])
        self.assertEqual(done.all("cancelled"), [[]])
        self.assertEqual(done.all("refused"), [["403"]])

    def test_a_stop_is_a_close_320(self):
        client = self.client("stop")
        client.wait_for("ready")
        self.broker.restart()
        self.assertEqual(client.finish().all("stopped"), [["320"]])


class FramesOf4KiB(Newest):
    ENVIRONMENT = {"AMQPLIB": "amqplib-0.10.5"}
    FRAME_MAX = "4096"


if __name__ == "__main__":
    run()
