// SPDX-License-Identifier: Apache-2.0
// Fixed pieces of work, the same instruction for instruction in every run. Counted by the gate
// (gate_main.cc) and timed by the micro-benchmarks (workload_bench.cc).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace warren::bench {

class Workload {
 public:
  virtual ~Workload() = default;
  // About so many operations; returns how many there were. An operation: see make_workload().
  virtual std::uint64_t run(std::uint64_t operations) = 0;
};

struct WorkloadKind {
  std::string_view name;
  std::string_view operation;  // what is counted
  std::unique_ptr<Workload> (*make)();
};

const std::vector<WorkloadKind>& workload_kinds();
// nullptr: there is none of that name.
const WorkloadKind* find_workload(std::string_view name);

}  // namespace warren::bench
