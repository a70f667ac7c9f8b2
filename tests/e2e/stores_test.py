#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stores of older versions (tests/stores) open, are sound, and give back what is in them."""

import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "stores"))

from broker_process import PROGRAM, Broker
from e2e_case import run
from make_store import drain

DUMP = pathlib.Path(PROGRAM).with_name("warren-dump")
STORES = sorted(path.parent for path in (ROOT / "tests" / "stores").glob("*/store.tar.xz"))


class OldStores(unittest.TestCase):
    def unpacked(self, store):
        folder = tempfile.TemporaryDirectory(prefix="warren_store_")
        self.addCleanup(folder.cleanup)
        with tarfile.open(store / "store.tar.xz") as archive:
            archive.extractall(folder.name)
        return pathlib.Path(folder.name, "data")

    def dump(self, *arguments):
        done = subprocess.run([DUMP, *arguments], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_there_are_some(self):
        self.assertLessEqual({"format-1", "format-2"}, {store.name for store in STORES})

    def test_each_gives_back_what_is_in_it(self):
        for store in STORES:
            with self.subTest(store.name):
                data = self.unpacked(store)
                expected = json.loads((store / "expected.json").read_text(encoding="ascii"))
                self.dump("-d", str(data), "check")
                broker = Broker(data_dir=data)
                self.addCleanup(broker.close)
                broker.start()
                got = json.loads(json.dumps(drain(broker)))
                self.assertEqual(got, expected)
                broker.restart()
                self.assertEqual(sum(len(messages) for messages in drain(broker).values()), 0)
                broker.terminate()
                self.dump("-d", str(data), "check")

    def test_each_can_be_exported_before_it_was_opened(self):
        for store in STORES:
            with self.subTest(store.name):
                data = self.unpacked(store)
                expected = json.loads((store / "expected.json").read_text(encoding="ascii"))
                exported = self.dump("-d", str(data), "export")
                lines = [json.loads(line) for line in exported.splitlines()]
                counts = {queue: 0 for queue in expected}
                for line in lines:
                    if line["kind"] == "message":
                        counts[line["queue"]] += 1
                self.assertEqual(counts, {queue: len(messages)
                                          for queue, messages in expected.items()})


if __name__ == "__main__":
    run()
