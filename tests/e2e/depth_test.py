#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory does not grow with depth: 600,000 messages of 1 KiB, transient and persistent."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from broker_process import ROOT
from e2e_case import BrokerCase, run

PERF = os.environ.get("WARREN_PERF", str(ROOT / "build/release/bin/warren-perf"))
COUNT = 600_000
BODY = 1024
TRANSIENT_MEMORY_MB = 64
# All 600,000 in memory would be more than 700 MiB. Allowed is what is configured and fixed: the
# transient budget, write buffers, block cache, the queue's window, and as much again for the
# allocator, the network and reads under way.
PERSISTENT_MB_MAX = 250
TRANSIENT_MB_MAX = 450
LOAD_SECONDS = 120


class Depth(BrokerCase):
    OPTIONS = ("--transient-memory-mb", str(TRANSIENT_MEMORY_MB))

    def perf(self, *arguments):
        done = subprocess.run(
            [PERF, "throughput", "--uri", f"amqp://guest:guest@127.0.0.1:{self.broker.port}",
             "-s", str(BODY), "-z", str(LOAD_SECONDS), "--json", *arguments],
            capture_output=True, text=True, timeout=LOAD_SECONDS + 20, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def fill_and_drain(self, memory_mb_max, *kind):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        self.perf("-u", queue, "-x", "1", "-y", "0", "-C", str(COUNT), "-c", "1000", *kind)
        peak = self.broker.anonymous_memory_mb()
        count = channel.queue_declare(queue, passive=True).method.message_count
        self.assertEqual(count, COUNT)
        self.assertLess(peak, memory_mb_max)
        self.perf("-u", queue, "-x", "0", "-y", "1", "-D", str(COUNT), "-a", "100")
        self.assert_empty(channel, queue)
        after = self.broker.anonymous_memory_mb()
        self.assertLess(after, memory_mb_max)
        print(f"{COUNT} x {BODY} bytes {' '.join(kind) or 'transient'}: {peak:.0f} MiB full, "
              f"{after:.0f} MiB empty", flush=True)

    def test_transient_messages(self):
        self.fill_and_drain(TRANSIENT_MB_MAX)

    def test_persistent_messages(self):
        self.fill_and_drain(PERSISTENT_MB_MAX, "-p")


if __name__ == "__main__":
    run()
