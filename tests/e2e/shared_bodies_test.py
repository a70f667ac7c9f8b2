#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A large message in many queues is on disk once, survives a kill, and goes with its last queue."""

import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from broker_process import Broker
from dump_case import DUMP, StoreCase, dump, dump_lines
from e2e_case import PERSISTENT, run

QUEUES = 100
BODY_BYTES = 64 << 10
MESSAGES = 10
SECONDS_MAX = 60


class SharedBodies(StoreCase):
    def setUp(self):
        # Each test counts what is in its store.
        self.broker = Broker()
        self.addCleanup(self.broker.close)
        super().setUp()

    def fan_out(self, count=QUEUES):
        """The queues, and what each of them holds."""
        channel = self.confirming()
        exchange = self.name("to all")
        channel.exchange_declare(exchange, "fanout", durable=True)
        queues = [self.name(f"q{number}") for number in range(count)]
        for queue in queues:
            channel.queue_declare(queue, durable=True)
            channel.queue_bind(queue, exchange)
        random.seed(1)
        bodies = [random.randbytes(BODY_BYTES) for _ in range(MESSAGES)]
        for body in bodies:
            channel.basic_publish(exchange, "", body, PERSISTENT)
        return queues, bodies

    def bytes_on_disk(self):
        files = [path for path in pathlib.Path(self.data).rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files)

    def shared(self):
        return dump_lines(self.data, "stats")[-1]

    def assert_only_orphans(self):
        done = subprocess.run([DUMP, "--data-dir", str(self.data), "check"], capture_output=True,
                              timeout=60, check=False, text=True)
        for line in done.stdout.splitlines()[:-1]:
            self.assertIn("belongs to no queue", line)

    def wait_until_none_is_shared(self):
        deadline = time.monotonic() + SECONDS_MAX
        while self.shared()["shared_bodies"] > 0:
            self.assertLess(time.monotonic(), deadline, self.shared())
            time.sleep(0.1)
        self.assertEqual(self.shared()["shared_bodies_references"], 0)

    def test_one_copy_serves_all_queues_and_goes_with_the_last(self):
        queues, bodies = self.fan_out()
        self.broker.kill()
        said = self.shared()
        self.assertEqual(said["shared_bodies"], MESSAGES)
        self.assertEqual(said["shared_bodies_references"], MESSAGES * QUEUES)
        # One copy in the write-ahead log, perhaps one in a blob file; not one per queue.
        self.assertLess(self.bytes_on_disk(), 4 * MESSAGES * BODY_BYTES)
        dump(self.data, "check")
        shown = dump(self.data, "messages", queues[-1], "--format", "raw", "--limit", "1")
        self.assertEqual(shown, bodies[0])
        self.broker.start()
        for queue in queues:
            got = [body for _, body in self.drain(self.broker, queue)]
            self.assertEqual(got, bodies, queue)
        self.wait_until_none_is_shared()
        self.broker.terminate()
        dump(self.data, "check")

    def test_purged_and_deleted_queues_let_go(self):
        queues, bodies = self.fan_out()
        self.broker.kill()
        self.broker.start()
        channel = self.channel()
        for queue in queues[:50]:
            channel.queue_purge(queue)
        for queue in queues[50:-1]:
            channel.queue_delete(queue)
        self.broker.kill()
        # What a deletion was about to take along is gone at the next start.
        self.assert_only_orphans()
        self.broker.start()
        self.assertEqual([body for _, body in self.drain(self.broker, queues[-1])], bodies)
        self.wait_until_none_is_shared()
        dump(self.data, "check")

    def test_an_export_holds_every_copy(self):
        queues, bodies = self.fan_out(5)
        self.broker.terminate()
        exported = self.folder / "all.jsonl"
        exported.write_bytes(dump(self.data, "export"))
        broker = self.restored(self.folder / "imported")
        broker.terminate()
        dump(broker.data_dir, "import", str(exported))
        broker.start()
        for queue in (queues[0], queues[-1]):
            self.assertEqual([body for _, body in self.drain(broker, queue)], bodies)


if __name__ == "__main__":
    run()
