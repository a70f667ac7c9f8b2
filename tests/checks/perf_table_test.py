#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of compare_peers say what was measured: goals judged, gaps left as gaps."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "perf"))

from perf_table import to_markdown


def load(name, goal_rate, goal_cpu, ours, theirs, ratios, consumers=1):
    return {"kind": "load", "name": name, "threads": 1, "options": "-s 16",
            "goal_rate": goal_rate, "goal_cpu": goal_cpu,
            "figures": {"consumers": consumers,
                        "brokers": [{"name": "warren-t1", "medians": ours,
                                     "first_divided_by_this": {}},
                                    {"name": "rabbitmq", "medians": theirs,
                                     "first_divided_by_this": ratios}]}}


def measured(*results, failures=()):
    return {"date": "2026-01-31", "minutes": 1.5, "quick": False, "pairs": 5, "seconds_each": 5,
            "machine": {"cpu": "a cpu", "cores": 2, "memory_gib": 8, "file_system": "ext4",
                        "kernel": "6.1"},
            "versions": {"warren": "warrend 0", "rabbitmq": "rabbitmq-server 3"},
            "results": list(results), "failures": list(failures)}


def row(markdown, name):
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


class Tables(unittest.TestCase):
    def test_goals_are_judged_both_ways(self):
        rate, cpu = "consume_rate", "server_cpu_us_per_message"
        out = to_markdown(measured(
            load("good", 2, 0.5, {rate: 3000, cpu: 1}, {rate: 1000, cpu: 4},
                 {rate: 3, cpu: 0.25}),
            load("bad", 5, 0.1, {rate: 3000, cpu: 1}, {rate: 1000, cpu: 4},
                 {rate: 3, cpu: 0.25})))
        self.assertEqual(row(out, "good")[3:], ["3,000", "1,000", "3.00x", "2 (reached)", "1.00",
                                                "4.00", "0.250x", "0.5 (reached)"])
        self.assertIn("5 (missed)", row(out, "bad"))
        self.assertIn("0.1 (missed)", row(out, "bad"))

    def test_without_consumers_what_was_published_counts(self):
        out = to_markdown(measured(load("fill", 1, None, {"publish_rate": 700},
                                        {"publish_rate": 350}, {"publish_rate": 2},
                                        consumers=0)))
        self.assertEqual(row(out, "fill")[3:7], ["700", "350", "2.00x", "1 (reached)"])

    def test_what_is_missing_is_a_dash(self):
        out = to_markdown(measured(load("gap", 1, 1, {"consume_rate": 5}, {"consume_rate": 5},
                                        {"consume_rate": 1})))
        self.assertEqual(row(out, "gap")[7:], ["–", "–", "–", "–"])

    def test_failures_are_told(self):
        self.assertIn("- sync-1: died", to_markdown(measured(failures=["sync-1: died"])))

    def test_churn_takes_medians(self):
        runs = {"warren-t1": [{"pairs_per_second": n} for n in (100, 900, 400)],
                "rabbitmq": [{"pairs_per_second": 200}]}
        out = to_markdown(measured({"kind": "churn", "name": "churn-queues", "threads": 1,
                                    "waits": "busy", "goal": 500, "figures": runs}))
        self.assertEqual(row(out, "churn-queues")[2:],
                         ["busy", "400", "200", "2.00x", "500 (missed)"])

    def test_goals_of_memory_are_for_warren_alone(self):
        figures = {name: {"count": 10, "per_second": 100.0, "bytes_each": 20480.0}
                   for name in ("warren-t1", "rabbitmq")}
        out = to_markdown(measured({"kind": "counts", "name": "connections", "threads": 1,
                                    "goal_rate": None, "goal_kib": 25, "figures": figures}))
        rows = [line for line in out.splitlines() if line.startswith("| connections |")]
        self.assertIn("20.0 | 25 (reached)", rows[0])
        self.assertIn("20.0 | – |", rows[1])


if __name__ == "__main__":
    unittest.main()
