#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a suite that was broken on purpose: exit 0 only if it fails, and for the right reason.

  expect_failure.py PROGRAM GTEST_FILTER PATTERN
PATTERN is a regular expression that a line of what the program says must hold. What GoogleTest says
of its own, which has the names of the tests, does not count: a name proves nothing.
"""

import os
import re
import subprocess
import sys

SECONDS_MAX = 280
LINES_SHOWN = 30
NAMES = re.compile(r"\[|Note: Google Test filter =")


def main(program, test_filter, pattern):
    # Its results are not those of the suite itself.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("GTEST_OUTPUT", "WARREN_SEED", "WARREN_SEEDS")}
    try:
        done = subprocess.run([program, f"--gtest_filter={test_filter}", "--gtest_fail_fast"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment, timeout=SECONDS_MAX,
                              text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        print(f"NOT CAUGHT within {SECONDS_MAX} s")
        return 1
    lines = done.stdout.splitlines()
    found = next((line for line in lines if not NAMES.match(line) and re.search(pattern, line)),
                 None)
    if done.returncode == 0:
        print("NOT CAUGHT: the suite passes")
    elif found is None:
        print(f"failed with exit code {done.returncode}, but does not say '{pattern}'")
    else:
        print(f"caught, exit code {done.returncode}: {found.strip()}")
        print("counted 1 mutations caught")
        return 0
    print("\n".join(lines[-LINES_SHOWN:]))
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
