// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/process_stats.h"

#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace warren::perf {

Result<ProcessStats> read_process_stats(int pid) {
  std::string line;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in brackets and may hold anything.
  if (!std::getline(stat, line) || line.rfind(')') == std::string::npos) {
    return Error{Errc::not_found, fmt::format("no process {}", pid)};
  }
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user_ticks = 0;
  double system_ticks = 0;
  fields >> user_ticks >> system_ticks;
  ProcessStats stats;
  stats.cpu_seconds = (user_ticks + system_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  while (std::getline(status, line)) {
    if (!line.starts_with("RssAnon:")) continue;
    std::istringstream value(line.substr(8));
    std::uint64_t kilobytes = 0;
    value >> kilobytes;
    stats.anonymous_bytes = kilobytes * 1024;
  }
  return stats;
}

}  // namespace warren::perf
