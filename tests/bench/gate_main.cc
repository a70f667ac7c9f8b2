// SPDX-License-Identifier: Apache-2.0
// Runs one workload for callgrind to count: gate.py starts it and reads the counts. Without
// valgrind it does the same work, uncounted.
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <valgrind/callgrind.h>

#include "storage/base/log.h"

#include "tests/bench/workload.h"

int main(int argc, char** argv) {
  using namespace warren;
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const bench::WorkloadKind& kind : bench::workload_kinds()) fmt::print("{}\n", kind.name);
    return 0;
  }
  std::uint64_t operations = 0;
  const bench::WorkloadKind* const kind = argc == 3 ? bench::find_workload(argv[1]) : nullptr;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), operations);
  if (kind == nullptr || operations == 0) {
    fmt::print(stderr, "usage: bench_gate WORKLOAD OPERATIONS | --list\n");
    return 2;
  }
  spdlog::set_level(spdlog::level::warn);
  const auto workload = kind->make();
  if (kind->name != "read-from-disk") workload->run(operations / 4 + 1);  // caches and capacities
  CALLGRIND_START_INSTRUMENTATION;
  const std::uint64_t done = workload->run(operations);
  CALLGRIND_STOP_INSTRUMENTATION;
  fmt::print("{} operations\n", done);
  return 0;
}
