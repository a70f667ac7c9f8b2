// SPDX-License-Identifier: Apache-2.0
// A broker's process, stopped and started by the workload that measures a restart.
#pragma once

#include <string>

#include "storage/base/clock.h"
#include "storage/base/result.h"

namespace warren::perf {

// Sends the signal and waits until the process is gone; it need not be a child.
Status end_process(int pid, int signal, Duration timeout);

// Also when it is a child that nobody has waited for.
bool process_ended(int pid);

// Runs a shell command line in a session of its own, its output in `log` (empty: nowhere). The
// process id.
Result<int> start_process(const std::string& command, const std::string& log);

// Bytes on disk of all files below; 0 when there is nothing.
std::uint64_t disk_bytes(const std::string& directory);

}  // namespace warren::perf
