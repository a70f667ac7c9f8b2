// SPDX-License-Identifier: Apache-2.0
// What `warren-perf throughput` is asked to do.
#pragma once

#include <cstdint>
#include <string>

#include "server/tools/perf/uri.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace warren::perf {

struct ThroughputOptions {
  std::string uri_text = "amqp://guest:guest@127.0.0.1:5672";
  Uri uri;  // from uri_text
  unsigned publishers = 1;
  unsigned consumers = 1;
  std::uint32_t body_bytes = 16;
  bool persistent = false;
  std::uint32_t confirm_window = 0;  // 0: no confirms
  std::uint32_t ack_batch = 0;       // 0: auto-ack
  std::uint16_t prefetch = 0;        // 0: unlimited
  double rate = 0;                   // messages per second and publisher; 0: unlimited
  std::string queue = "perf-test";
  unsigned queues = 1;
  double seconds = 10;
  double warm_up_seconds = 0;
  bool latency = false;
  bool json = false;
  std::uint64_t publish_count = 0;  // per publisher; 0: until the time is over
  std::uint64_t consume_count = 0;  // per consumer; 0: until the time is over
  int server_pid = 0;               // 0: do not look
  unsigned client_threads = 0;      // 0: as the machine has, but not more than connections
  bool purge = false;
  bool delete_queues = false;

  // The name of the queue that the n-th publisher or consumer uses.
  std::string queue_name(unsigned n) const;
};

void add_throughput_options(CLI::App& app, ThroughputOptions& options);

}  // namespace warren::perf
