#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of fixed workloads with callgrind and compares them with a baseline.

Instructions do not depend on what else the machine does: more of them mean that the code does more.
  gate.py BENCH_GATE              compare; exit 1 if a workload needs over 10 % more
  gate.py BENCH_GATE --write      make the counts of now the baseline (baseline.json)
  gate.py BENCH_GATE --profile W  the functions in which workload W spends its instructions
  gate.py BENCH_GATE --against B  the same workloads of another build of bench_gate, side by side
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).parent / "baseline.json"
OPERATIONS = 4000
GROWTH_MAX = 0.10
SECONDS_MAX = 300


def callgrind(program, workload, out):
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}",
               str(program), workload, str(OPERATIONS)]
    # Without random addresses hash tables and allocators do the same in every run.
    if subprocess.run(["setarch", "-R", "true"], check=False, capture_output=True).returncode == 0:
        command = ["setarch", "-R"] + command
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        sys.exit(f"gate: {' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return int(re.match(r"(\d+) operations", done.stdout).group(1))


def count(program, workload):
    """Instructions per operation."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        operations = callgrind(program, workload, out)
        total = re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)
    if total is None or int(total.group(1)) == 0:
        sys.exit(f"gate: callgrind counted nothing for '{workload}'")
    return int(total.group(1)) / operations


def count_all(program, workloads):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(workloads, pool.map(lambda one: count(program, one), workloads)))


def profile(program, workload):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        callgrind(program, workload, out)
        subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=97", str(out)], check=True)


def compare(now, before, names):
    """Prints the table; returns the workloads that grew too much or have no baseline."""
    bad = []
    print(f"{'instructions per operation':28}{names[0]:>12}{names[1]:>12}{'change':>10}")
    for workload, value in now.items():
        old = before.get(workload)
        if old is None:
            print(f"{workload:28}{'none':>12}{value:12.0f}{'':>10}  NO BASELINE")
            bad.append(workload)
            continue
        change = value / old - 1
        verdict = "  TOO MANY" if change > GROWTH_MAX else ""
        if verdict:
            bad.append(workload)
        print(f"{workload:28}{old:12.0f}{value:12.0f}{change:+10.1%}{verdict}")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--profile", metavar="W")
    parser.add_argument("--against", type=pathlib.Path, metavar="B")
    args = parser.parse_args()
    if args.profile:
        profile(args.program, args.profile)
        return 0
    listed = subprocess.run([args.program, "--list"], check=True, capture_output=True, text=True)
    now = count_all(args.program, listed.stdout.split())
    if args.write:
        BASELINE.write_text(json.dumps({k: round(v, 1) for k, v in now.items()}, indent=2) + "\n")
        print(f"gate: wrote {BASELINE}")
    if args.against:
        return 1 if compare(now, count_all(args.against, list(now)), ("that", "this")) else 0
    before = json.loads(BASELINE.read_text())
    bad = compare(now, before, ("baseline", "now"))
    gone = sorted(set(before) - set(now))
    if gone:
        print(f"gate: in the baseline, but no workload: {', '.join(gone)}")
    if bad:
        print(f"gate: over {GROWTH_MAX:.0%} more instructions: {', '.join(bad)}. "
              f"See where with --profile; if it is worth it, say why and use --write.")
    return 1 if bad or gone else 0


if __name__ == "__main__":
    sys.exit(main())
