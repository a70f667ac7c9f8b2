#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rabbitmq-c, the library of amqp-tools and of many bindings, from a C program."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import made
from e2e_case import run


class RabbitmqC(client_case.EveryClient):
    @classmethod
    def program(cls):
        return [made("rabbitmq_c", ["cc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
                                    "client.c", "-lrabbitmq", "-o", "client"]) / "client"]

    def test_errors_name_what_caused_them(self):
        done = self.run_client("errors")
        self.assertEqual(done.all("channel-error"), [["404", "50", "10"], ["406", "40", "10"]])
        self.assertEqual(done.all("refused"), [["403"]])


if __name__ == "__main__":
    run()
