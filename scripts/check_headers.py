#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone: what it uses it includes itself.

A header whose own .cc includes it first is proved by the build (scripts/tidy.py sees to that
order); the others are compiled here, with the flags of the build's compile_commands.json.
  scripts/check_headers.py BUILD_DIR
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

TIMEOUT_SECONDS = 120


def flags_of(build_dir):
    """-D, -I and -isystem of every compile command, and one compiler, from the build."""
    with open(build_dir / "compile_commands.json", encoding="utf-8") as commands:
        entries = json.load(commands)
    kept = []
    for entry in entries:
        words = shlex.split(entry["command"])
        for index, word in enumerate(words):
            if re.match(r"-[DI]", word) and word not in kept and "WARREN_VERSION" not in word:
                kept.append(word)
            if word == "-isystem" and words[index + 1] not in kept:
                kept += [word, words[index + 1]]
    return kept + ['-DWARREN_VERSION="0"']


def compile_alone(root, header, flags):
    command = ["g++", "-std=c++20", "-fsyntax-only", "-w", "-x", "c++", *flags, f"-I{root}",
               str(header)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
                          check=False)
    return header, done.returncode, done.stderr


def main():
    build_dir = pathlib.Path(sys.argv[1]).resolve()
    root = pathlib.Path(__file__).resolve().parent.parent
    headers = [header for top in ("storage", "server", "tests")
               for header in sorted((root / top).rglob("*.h"))
               if not header.with_suffix(".cc").exists()]
    flags = flags_of(build_dir)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, code, stderr in pool.map(lambda h: compile_alone(root, h, flags), headers):
            if code != 0:
                failed += 1
                print(f"{header.relative_to(root)} does not compile alone:\n{stderr[:2000]}")
    print(f"check_headers: {len(headers)} headers, {failed} do not stand alone")
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
