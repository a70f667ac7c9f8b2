#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance cases against a real warrend: sockets, threads and real time."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from broker_process import ROOT
from e2e_case import BrokerCase, run

CONFORMANCE = os.environ.get("WARREN_CONFORMANCE", str(ROOT / "build/release/bin/conformance"))
SECONDS_MAX = 200


class Sockets(BrokerCase):
    def test_every_case_that_needs_no_restart(self):
        uri = f"amqp://guest:guest@{self.broker.host}:{self.broker.port}"
        done = subprocess.run([CONFORMANCE, "--uri", uri], stdout=subprocess.PIPE, text=True,
                              timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    run()
