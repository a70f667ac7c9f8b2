#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""warren-dump moves messages between the stores of real brokers, and repairs damaged ones."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika

from broker_process import Broker
from dump_case import (DUMP, DUMP_SECONDS, StoreCase, dump, dump_lines, fingerprint, flip_a_bit)
from e2e_case import run


class Moving(StoreCase):
    def messages(self, data_dir, queue):
        rows = dump_lines(data_dir, "export", queue)
        out = []
        for row in rows:
            if row["kind"] == "message":
                row.pop("seq")
                out.append(row)
        return out

    def test_what_is_exported_imports_to_the_same(self):
        channel = self.confirming()
        queue = self.name("q\u00fc")
        channel.exchange_declare("moving", "headers", durable=True)
        channel.queue_declare(queue, durable=True, arguments={"x-max-length": 100000})
        channel.queue_bind(queue, "moving", "", arguments={"x-match": "any", "n": 5})
        for number in range(300):
            channel.basic_publish("", queue, os.urandom(number * 7), pika.BasicProperties(
                delivery_mode=2, priority=number % 10, correlation_id=f"c{number}",
                headers={"n": number, "deep": {"list": [1, "two", None, b"\xff"]}}))
        lanes = self.name("lanes")
        channel.queue_declare(lanes, durable=True, arguments={
            "x-max-priority": 5})
        for number in range(60):
            channel.basic_publish("", lanes, b"%d" % number, pika.BasicProperties(
                delivery_mode=2, priority=number % 7, expiration="86400000"))
        returned = self.name("returned")
        channel.queue_declare(returned, durable=True, arguments={"x-queue-type": "quorum"})
        self.fill(channel, returned, [b"%d" % number for number in range(5)])
        for _ in range(3):
            channel.basic_get(returned)
        channel.basic_nack(0, multiple=True, requeue=True)
        self.wait_for("the counts on disk", lambda: sum(
            row.get("returns", 0) for row in dump_lines(self.data, "messages", returned)) == 3)
        exported = self.folder / "moving.jsonl"
        dump(self.data, "export", "--output", str(exported))
        other = Broker()
        self.addCleanup(other.close)
        other.start()
        dump(other.data_dir, "import", str(exported), code=3)  # it runs
        other.terminate()
        dump(other.data_dir, "import", "--dry-run", str(exported))
        self.assertEqual(len(dump_lines(other.data_dir, "queues")), 0)
        dump(other.data_dir, "import", str(exported))
        dump(other.data_dir, "check")
        for name in (queue, lanes, returned):
            self.assertEqual(self.messages(other.data_dir, name), self.messages(self.data, name))
        strip = lambda rows: [{key: value for key, value in row.items() if key != "log"}
                              for row in rows]
        for what in ("queues", "exchanges", "bindings"):
            mine, theirs = dump_lines(self.data, what), dump_lines(other.data_dir, what)
            self.assertEqual(strip(mine), strip(theirs))
        other.start()
        for name, count in ((queue, 300), (lanes, 60)):
            mine, theirs = self.drain(self.broker, name), self.drain(other, name)
            self.assertEqual(len(mine), count)
            self.assertEqual([body for _, body in theirs], [body for _, body in mine])
            self.assertEqual([vars(properties) for properties, _ in theirs],
                             [vars(properties) for properties, _ in mine])

    def test_a_file_that_was_cut_or_does_not_fit_changes_nothing(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill(channel, queue, [b"a", b"b"])
        whole = dump(self.data, "export", queue).splitlines(keepends=True)
        channel.connection.close()
        self.broker.terminate()
        path = self.folder / "cut.jsonl"
        for lines, why in ((whole[:-1], b"cut short"), (whole[1:], b"does not begin"),
                           (whole[:-2] + whole[-1:], b"says 2 messages and has 1"),
                           (whole[:2] + [b"{\n"], b"line 3"),
                           ([line.replace(b'"durable":true', b'"durable":false')
                             for line in whole], b"exists and is different")):
            path.write_bytes(b"".join(lines))
            before = fingerprint(self.data)
            done = subprocess.run([DUMP, "--data-dir", self.data, "import", str(path)],
                                  capture_output=True, timeout=DUMP_SECONDS, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(why, done.stderr)
            self.assertEqual(fingerprint(self.data), before)

    def test_imported_messages_come_behind_the_ones_that_are_there(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill(channel, queue, [b"1", b"2"])
        path = self.folder / "again.jsonl"
        path.write_bytes(dump(self.data, "export", queue))
        channel.connection.close()
        self.broker.terminate()
        dump(self.data, "import", str(path))
        self.broker.start()
        self.assertEqual(self.bodies(self.channel(), queue, 4), [b"1", b"2", b"1", b"2"])

    def test_an_import_of_what_is_there_already_writes_nothing(self):
        channel = self.confirming()
        channel.queue_declare(self.name(), durable=True)
        path = self.folder / "same.jsonl"
        path.write_bytes(dump(self.data, "export", "--definitions"))
        lines = path.read_bytes().splitlines(keepends=True)
        empty = self.folder / "empty.jsonl"
        empty.write_bytes(lines[0] + lines[-1])
        channel.connection.close()
        self.broker.terminate()
        for arguments, known in (([str(path)], len(lines) - 2), ([str(path), "--keep"],
                                 len(lines) - 2), ([str(empty)], 0)):
            self.assertEqual(dump_lines(self.data, "import", *arguments),
                             [{"imported": True, "definitions": 0, "definitions_present": known,
                               "messages": 0}])
            dump(self.data, "check")

    def test_an_imported_policy_is_in_force(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill(channel, queue, [b"1", b"2", b"3"])
        path = self.folder / "policy.jsonl"
        head, *_, end = dump(self.data, "export", "--definitions").splitlines()
        policy = {"kind": "policy", "vhost": "/", "name": "short", "operator": False,
                  "pattern": f"^{queue}$", "apply_to": "queues", "priority": 1,
                  "definition": {"max-length": 2}}
        path.write_bytes(b"\n".join([head, json.dumps(policy).encode(), end]) + b"\n")
        channel.connection.close()
        self.broker.terminate()
        dump(self.data, "import", str(path))
        self.assertEqual([row["policy"] for row in dump_lines(self.data, "policies")], ["short"])
        dump(self.data, "check")
        self.broker.start()
        self.assertEqual(self.bodies(self.channel(), queue, 2), [b"2", b"3"])


class Damage(StoreCase):
    def test_a_flipped_bit_is_named_repaired_and_kept(self):
        channel = self.confirming()
        queue, sound = self.name(), self.name("sound")
        for name in (queue, sound):
            channel.queue_declare(name, durable=True)
        bodies = [b"%06d" % number + os.urandom(50_000) for number in range(800)]
        self.fill(channel, sound, bodies[:3])
        self.fill(channel, queue, bodies)
        channel.connection.close()
        self.broker.terminate()
        flip_a_bit(self.data, "db/*.blob", 150_000)
        found = dump_lines(self.data, "check", code=1)
        self.assertEqual(found[0]["harm"], "messages")
        self.assertIn(queue, found[0]["where"])
        dump(self.data, "repair", "--dry-run", code=1)
        kept = self.folder / "kept.jsonl"
        dump(self.data, "repair", "--quarantine", str(kept))
        dump(self.data, "check")
        self.assertIn(b"nothing to repair", dump(self.data, "repair"))
        records = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(len(records), 1)
        self.assertGreater(len(records[0]["value_base64"]), 50_000)
        self.broker.start()
        left = [body for _, body in self.drain(self.broker, queue)]
        lost = collections.Counter(bodies) - collections.Counter(left)
        self.assertEqual(sum(lost.values()), 1)
        self.assertEqual(left, [body for body in bodies if body not in lost])
        self.assertEqual([body for _, body in self.drain(self.broker, sound)], bodies[:3])

    def test_a_flipped_bit_is_passed_over_by_the_broker(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        bodies = [b"%06d" % number + os.urandom(50_000) for number in range(800)]
        self.fill(channel, queue, bodies)
        channel.connection.close()
        self.broker.terminate()
        copy = self.folder / "flipped"
        shutil.copytree(self.data, copy)
        flip_a_bit(copy, "db/*.blob", 150_000)
        left = [body for _, body in self.drain(self.restored(copy), queue)]
        self.assertGreater(len(left), len(bodies) - 10)
        self.assertLess(len(left), len(bodies))
        kept = set(left)
        self.assertEqual(left, [body for body in bodies if body in kept])

    def test_a_damaged_table_is_named_repaired_and_kept(self):
        channel = self.confirming()
        queue, sound = self.name(), self.name("sound")
        for name in (queue, sound):
            channel.queue_declare(name, durable=True)
        bodies = [b"%06d" % number + os.urandom(1000) for number in range(500)]
        self.fill(channel, queue, bodies)  # one by one: a chunk each
        self.fill(channel, sound, bodies[:3])
        for _ in range(10):
            channel.basic_ack(channel.basic_get(queue)[0].delivery_tag)
        channel.connection.close()
        self.broker.restart()  # what is in the log becomes tables
        self.broker.terminate()
        dump(self.data, "check")
        flip_a_bit(self.data, "db/*.sst", 6000)
        found = dump_lines(self.data, "check", code=1)
        tables = [row for row in found if row.get("where", "").startswith("table ")]
        self.assertEqual(len(tables), 1)
        self.assertEqual(tables[0]["harm"], "messages")
        self.assertIn("family queue_log", tables[0]["what"])
        log = [row["log"] for row in dump_lines(self.data, "queues") if row["queue"] == queue][0]
        self.assertIn(f"may lack records from log {log} chunk ", tables[0]["what"])
        file = tables[0]["where"].split()[1]
        damaged = pathlib.Path(self.data, "db", file).read_bytes()
        kept = self.folder / "table-kept.jsonl"
        before = fingerprint(self.data)
        said = dump_lines(self.data, "repair", "--dry-run", code=1)[-1]
        self.assertEqual(fingerprint(self.data), before)
        done = dump_lines(self.data, "repair", "--quarantine", str(kept))[-1]
        self.assertEqual({**said, "done": True}, done)
        self.assertEqual(done["tables"], 1)
        lost = done["lost_at_least"]
        self.assertEqual(lost, done["lost_at_most"])
        self.assertIn(lost, range(1, 250))
        self.assertEqual(pathlib.Path(f"{kept}.{file}").read_bytes(), damaged)
        self.assertFalse(pathlib.Path(self.data, "db", file).exists())
        dump(self.data, "check")
        self.assertIn(b"nothing to repair", dump(self.data, "repair"))
        self.broker.start()
        left = [body for _, body in self.drain(self.broker, queue)]
        self.assertEqual(len(left), 490 - lost)
        kept_bodies = set(left)
        self.assertEqual(left, [body for body in bodies[10:] if body in kept_bodies])
        self.assertEqual([body for _, body in self.drain(self.broker, sound)], bodies[:3])
        channel = self.confirming()
        self.fill(channel, queue, [b"new"])
        self.assertEqual(self.bodies(channel, queue, 1), [b"new"])

    def test_a_damaged_log_is_named_and_salvaged(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        bodies = [b"%06d" % number + os.urandom(2000) for number in range(100)]
        self.fill(channel, queue, bodies)
        self.broker.kill()
        copy = self.folder / "damaged-log"
        shutil.copytree(self.data, copy)
        flip_a_bit(copy, "db/*.log", 60_000)
        found = dump_lines(copy, "check", code=1)
        self.assertTrue(any("damaged at byte" in row.get("what", "") for row in found))
        kept = self.folder / "log-kept.jsonl"
        before = fingerprint(copy)
        dump(copy, "repair", "--quarantine", str(kept), code=3)  # only when it was asked to
        self.assertEqual({path: facts for path, facts in fingerprint(copy).items()
                          if not path.endswith("/lock")},
                         {path: facts for path, facts in before.items()
                          if not path.endswith("/lock")})
        damaged = max(copy.glob("db/*.log"), key=lambda file: file.stat().st_size).read_bytes()
        lines = dump_lines(copy, "repair", "--salvage-log", "--quarantine", str(kept))
        done = lines[-1]
        self.assertTrue(done["log_salvaged"])
        self.assertEqual(done["lost_at_least"], 1)
        self.assertIsNone(done["lost_at_most"])
        self.assertTrue(any(f"'{queue}'" in row.get("where", "") and
                            "at least 1 messages are lost" in row["what"] for row in lines))
        copies = list(self.folder.glob("log-kept.jsonl.*.log"))
        self.assertEqual([path.read_bytes() for path in copies], [damaged])
        dump(copy, "check")
        self.assertIn(b"nothing to repair", dump(copy, "repair"))
        left = [body for _, body in self.drain(self.restored(copy), queue)]
        self.assertEqual(left, [body for body in bodies if body in set(left)])
        # RocksDB alone would drop all behind the bit, or the rest of its block.
        self.assertEqual(len(left), 99)

    def test_what_a_damaged_end_of_the_log_held_cannot_be_told(self):
        channel = self.confirming()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill(channel, queue, [b"first", b"last" * 500])
        self.broker.kill()
        copy = self.folder / "damaged-end"
        shutil.copytree(self.data, copy)
        log = max(copy.glob("db/*.log"), key=lambda file: file.stat().st_size)
        flip_a_bit(copy, "db/*.log", log.read_bytes().rindex(b"lastlast") - 100)
        kept = self.folder / "end-kept.jsonl"
        said = dump(copy, "repair", "--salvage-log", "--quarantine", str(kept)).decode()
        self.assertIn("how many messages are lost cannot be told", said)
        dump(copy, "check")
        self.assertIn(b"nothing to repair", dump(copy, "repair"))
        self.assertEqual([body for _, body in self.drain(self.restored(copy), queue)], [b"first"])


if __name__ == "__main__":
    run()
