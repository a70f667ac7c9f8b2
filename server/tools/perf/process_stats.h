// SPDX-License-Identifier: Apache-2.0
// What /proc says of another process: the CPU time and the memory that a broker costs.
#pragma once

#include <cstdint>
#include <optional>

#include "storage/base/result.h"

#include "server/tools/perf/options.h"

namespace warren::perf {

struct ProcessStats {
  double cpu_seconds = 0;             // user and system, all threads, since its start
  std::uint64_t anonymous_bytes = 0;  // heap and stacks (RssAnon)
  std::uint64_t resident_bytes = 0;   // with mapped files (VmRSS)
};

Result<ProcessStats> read_process_stats(int pid);

// The process that listens on this TCP port of this machine; 0 when there is none, or when it is
// another user's.
int find_listener(std::uint16_t port);

// Is it a name of this machine that is the same on every machine?
bool is_local(const std::string& host);

// The broker's process: the one that the options name, or the one behind the port when the URI
// names this machine; 0: it is not known.
int find_broker(const BrokerOptions& options);

// Of a broker, over some time.
struct ServerCost {
  double cpu_seconds = 0;
  std::uint64_t anonymous_bytes = 0;  // at the end
  std::uint64_t anonymous_peak_bytes = 0;
  std::uint64_t resident_peak_bytes = 0;
};

// Watches the broker's process, if it is known.
class ServerProbe {
 public:
  // Of find_broker()'s process. An error only when one that is named does not exist.
  static Result<ServerProbe> find(const BrokerOptions& options);

  bool known() const { return pid_ != 0; }
  // From now on.
  void begin();
  // Looks at memory; to be called now and then.
  void sample();
  // Since begin(); none when the process is not known or gone.
  std::optional<ServerCost> cost();

 private:
  int pid_ = 0;
  ProcessStats first_;
  ServerCost cost_;
};

}  // namespace warren::perf
