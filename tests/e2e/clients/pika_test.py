#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pika in the scenarios that every client has; the files beside this folder use it for the rest."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import client_case
from client_case import SOURCES
from e2e_case import run


class Pika(client_case.EveryClient):
    @classmethod
    def program(cls):
        return ["/usr/bin/python3", SOURCES / "pika/client.py"]


if __name__ == "__main__":
    run()
