#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what scripts/test left behind and prints one last line: "N passed, N failed".

RESULTS/STEP.status        exit code of a step; a step without a suite counts as one case
RESULTS/STEP/ctest.xml     JUnit file of ctest: which programs ran, and how they ended
RESULTS/STEP/cases/*.json  the cases inside a program: GoogleTest's own, or our e2e runner's
A step or program that failed without naming a failed case counts as one failure: a broken
harness is never silent.
What a program counts of its own ("counted 2000 power-loss points" at the end of what it says) is
added up per suite and printed.
"""

import collections
import json
import pathlib
import re
import sys
import xml.etree.ElementTree


def program_cases(cases, name):
    """(passed, failed) of the cases in one program, or None when it wrote none."""
    path = cases / f"{name}.json"
    if not path.exists():
        return None
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        failed = result["failures"] + result.get("errors", 0)
        return result["tests"] - failed - result.get("disabled", 0), failed
    except (ValueError, KeyError):
        return 0, 1


def suite_totals(xml_path):
    passed = failed = 0
    broken = []
    for case in xml.etree.ElementTree.parse(xml_path).getroot().iter("testcase"):
        ended_well = case.get("status") == "run"
        inner = program_cases(xml_path.parent / "cases", case.get("name"))
        inner_passed, inner_failed = inner or ((1, 0) if ended_well else (0, 1))
        if not ended_well and inner_failed == 0:
            inner_failed = 1
        passed += inner_passed
        failed += inner_failed
        if inner_failed:
            broken.append(f"{xml_path.parent.name}: {case.get('name')} ({inner_failed} failed)")
    return passed, failed, broken


def suite_counts(xml_path):
    """What the programs of a suite say they have done: {"power-loss points": 2000}."""
    counts = collections.Counter()
    for said in xml.etree.ElementTree.parse(xml_path).getroot().iter("system-out"):
        for number, what in re.findall(r"^counted (\d+) (.+)$", said.text or "", re.MULTILINE):
            counts[what] += int(number)
    return counts


def step_totals(results, path):
    """A step with a suite of its own is its cases; another one is a single case."""
    status = int(path.read_text(encoding="ascii"))
    xml_path = results / path.stem / "ctest.xml"
    passed, failed, broken = (0, 0, [])
    if xml_path.exists():
        passed, failed, broken = suite_totals(xml_path)
    elif status == 0:
        passed = 1
    if status != 0 and failed == 0:
        failed = 1
        broken = [f"step {path.stem} (exit {status})"]
    return passed, failed, broken


def main():
    results = pathlib.Path(sys.argv[1])
    passed = failed = 0
    broken = []
    for path in sorted(results.glob("*.status")):
        step_passed, step_failed, step_broken = step_totals(results, path)
        passed += step_passed
        failed += step_failed
        broken += step_broken
    for xml_path in sorted(results.glob("*/ctest.xml")):
        counts = suite_counts(xml_path)
        if counts:
            print(f"{xml_path.parent.name}: "
                  + ", ".join(f"{counts[what]} {what}" for what in sorted(counts)))
    for line in broken:
        print(f"FAILED {line}")
    if passed == 0 and failed == 0:
        failed += 1
        print("FAILED nothing ran")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
