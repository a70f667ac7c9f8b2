#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""php-amqplib, which logs in with AMQPLAIN."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import SOURCES
from e2e_case import run


class Php(client_case.EveryClient):
    @classmethod
    def program(cls):
        return ["php", SOURCES / "php/client.php"]

    def test_errors_are_exceptions(self):
        done = self.run_client("errors")
        self.assertEqual(done.all("channel-error"), [
            ["404", "50", "10"], ["406", "50", "10"], ["406", "60", "80"]])
        self.assertEqual(done.all("cancelled"), [["tag"]])
        self.assertEqual(done.all("refused"), [["403"]])


if __name__ == "__main__":
    run()
