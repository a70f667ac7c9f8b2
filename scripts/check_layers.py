#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include against the table of who may include whom (CONTRIBUTING.md, Layers).

server -> storage -> proto, never back; each module sees only the modules in its row, only the
library headers in its row, and storage only through its door. Prints one line per violation.
  scripts/check_layers.py [root]
"""

import pathlib
import re
import sys

DOOR = ["storage/engine/store.h", "storage/engine/queue_log.h", "storage/engine/definitions.h"]
# What runs a shard's loop and carries messages between shards; the rest of the broker it is not
# to know.
SHARD = ["server/broker/broker_shard.h", "server/broker/shard_link.h",
         "server/broker/shard_messages.h"]
PURE = ["thread", "mutex", "shared_mutex", "condition_variable", "future", "fstream", "filesystem",
        "iostream"]

# module: (paths of the project it may include, besides its own; library headers, as prefixes).
# A path that ends in .h is that header alone. `std` and fmt are open to all.
TABLE = {
    "storage/base": ([], ["spdlog/", "isa-l/", "boost/smart_ptr/"]),
    "storage/record": (["storage/base"], ["google/protobuf/"]),
    "storage/kv": (["storage/base"], ["rocksdb/"]),
    "storage/engine": (["storage/base", "storage/record", "storage/kv"],
                       ["boost/unordered/", "boost/container"]),
    "storage/inspect": (["storage/base", "storage/record", "storage/kv",
                         "storage/engine/store_directory.h",
                         "storage/engine/chunk_cursor.h"], []),
    "server/amqp": (["storage/base"], []),
    "server/auth": (["storage/base", *DOOR], ["openssl/", "re2/"]),
    "server/broker": (["storage/base", "server/amqp", "server/auth/pattern.h", *DOOR],
                      ["boost/unordered/", "boost/container", "boost/intrusive/"]),
    "server/session": (["storage/base", "server/amqp", "server/auth", "server/broker"],
                       ["boost/unordered/", "boost/container"]),
    "server/net": (["storage/base", "server/amqp", "server/session", *SHARD],
                   ["boost/asio", "boost/smart_ptr/", "openssl/"]),
    "server/metrics": (["storage/base"], ["prometheus/"]),
    "server/config": (["storage/base"], ["CLI/"]),
    "server/http": (["storage/base", "server/auth", "server/broker", "server/session",
                     "server/metrics", "server/config", *DOOR],
                    ["boost/asio", "boost/beast", "boost/json", "openssl/"]),
    "server/app": (["storage", "server"], ["boost/asio", "spdlog/"]),
    "server/tools/ctl": (["storage/base", "server/config"],
                         ["boost/asio", "boost/beast", "boost/json", "CLI/"]),
    "server/tools/base": ([], ["boost/json", "CLI/"]),
    "server/tools/dump": (["storage", "server/tools/base", "server/amqp", "server/broker/message.h",
                           "server/broker/dead_letter.h", "server/broker/queue_settings.h",
                           "server/broker/definition_check.h", "server/broker/exchange/delayed.h",
                           "server/auth/password.h"],
                          ["CLI/", "boost/json", "spdlog/"]),
    "server/tools/perf": (["storage/base", "server/tools/base", "server/amqp"],
                          ["boost/asio", "boost/json", "CLI/"]),
    "tests": (["storage", "server", "tests"],
              ["boost/", "gtest/", "gmock/", "benchmark/", "rocksdb/", "google/protobuf/",
               "CLI/", "spdlog/", "re2/", "openssl/", "valgrind/"]),
}
# State machines and byte layouts: no threads, no files, no sockets of their own.
SANS_IO = ["storage/record", "server/amqp", "server/auth", "server/broker", "server/session"]
SYSTEM = re.compile(r"^(sys|arpa|netinet|linux)/|^(unistd|poll|fcntl|signal|pthread|netdb)\.h$")
GENERATED = {"storage/record"}  # may include the generated *.pb.h
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
C_HEADERS = re.compile(r"^[a-z_0-9]+(\.h)?$")


def module_of(path):
    """The row of the table that `path` belongs to: its longest prefix."""
    rows = [row for row in TABLE if path == row or path.startswith(row + "/")]
    return max(rows, key=len) if rows else None


def permits(allowed, target):
    for entry in allowed:
        if target == entry or (not entry.endswith(".h") and target.startswith(entry + "/")):
            return True
    return False


def check_project_include(module, target):
    if target.endswith(".pb.h"):
        return None if module in GENERATED or module == "tests" else "generated protobuf code"
    if not re.match(r"^(storage|server|proto|tests)/", target):
        return "not written from the root"
    if module_of(target) == module:
        return None
    return None if permits(TABLE[module][0], target) else "outside its row of the table"


def check_library_include(module, target):
    if target.startswith("fmt/"):
        return None
    if module in SANS_IO and (target in PURE or SYSTEM.match(target)):
        return "threads, files and sockets stay out of this module"
    if C_HEADERS.match(target) or SYSTEM.match(target):
        return None
    if any(target.startswith(prefix) for prefix in TABLE[module][1]):
        return None
    return "library not in its row of the table"


def check_file(root, path):
    name = path.relative_to(root).as_posix()
    module = module_of(name)
    if module is None:
        return [f"{name}: belongs to no row of the table in scripts/check_layers.py"]
    errors = []
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        kind, target = found.groups()
        check = check_project_include if kind == '"' else check_library_include
        why = check(module, target)
        if why:
            errors.append(f"{name}:{number}: {module} may not include {target}: {why}")
    return errors


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).resolve().parent.parent).resolve()
    files = sorted(path for top in ("storage", "server", "tests")
                   for path in (root / top).rglob("*") if path.suffix in (".h", ".cc"))
    errors = [error for path in files for error in check_file(root, path)]
    for error in errors:
        print(error)
    print(f"check_layers: {len(files)} files, {len(errors)} violations")
    return 1 if errors or not files else 0


if __name__ == "__main__":
    sys.exit(main())
