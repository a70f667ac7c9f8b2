// SPDX-License-Identifier: Apache-2.0
// What /proc says of another process: the CPU time and the memory that a broker costs.
#pragma once

#include <cstdint>

#include "storage/base/result.h"

namespace warren::perf {

struct ProcessStats {
  double cpu_seconds = 0;             // user and system, all threads, since its start
  std::uint64_t anonymous_bytes = 0;  // heap and stacks (RssAnon)
};

Result<ProcessStats> read_process_stats(int pid);

}  // namespace warren::perf
