#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""amqp091-go, with its notifications."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import MADE, made
from e2e_case import run


class Go(client_case.EveryClient):
    @classmethod
    def program(cls):
        # Debian's packages are a GOPATH, not modules.
        return [made("go", ["go", "build", "-o", "client", "client.go"], GO111MODULE="off",
                     GOPATH="/usr/share/gocode", GOFLAGS="", GOPROXY="off",
                     GOCACHE=str(MADE / "go-cache")) / "client"]

    def test_what_the_broker_says_unasked_is_notified(self):
        client = self.client("notify")
        client.wait_for("ready")
        # Passive declare of an absent queue, unknown delivery tag, publish to an absent exchange.
        self.assertEqual(client.all("closed"), [
            ["404", "true", "true"], ["406", "true", "true"], ["404", "true", "true"]])
        self.assertEqual(client.all("cancelled"), [["tag"]])
        self.broker.restart()
        self.assertEqual(client.finish().all("stopped"), [["320", "true"]])


if __name__ == "__main__":
    run()
