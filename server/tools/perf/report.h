// SPDX-License-Identifier: Apache-2.0
// What a run measured, and how people (text) and programs (JSON) read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/tools/perf/latency_histogram.h"
#include "server/tools/perf/throughput_options.h"

namespace warren::perf {

struct Counters {
  std::uint64_t published = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t consumed = 0;
};

// Of the broker, over the measured time.
struct ServerCost {
  double cpu_seconds = 0;
  std::uint64_t anonymous_bytes = 0;  // at the end
};

struct ThroughputReport {
  double seconds = 0;  // measured
  Counters counters;   // in that time
  std::uint64_t nacked = 0;
  std::uint64_t returned = 0;
  std::uint64_t redelivered = 0;
  LatencyHistogram confirm_latency;
  LatencyHistogram latency;  // publish to delivery
  std::optional<ServerCost> server;

  double publish_rate() const { return rate(counters.published); }
  double confirm_rate() const { return rate(counters.confirmed); }
  double consume_rate() const { return rate(counters.consumed); }
  // Broker CPU per published message (per consumed one when nothing was published).
  double cpu_microseconds_per_message() const;

 private:
  double rate(std::uint64_t count) const {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  }
};

// The line that is rewritten while the load runs: `now` since `before`, `interval` seconds apart.
std::string progress_line(const Counters& now, const Counters& before, double interval,
                          double elapsed);
std::string to_text(const ThroughputReport& report, const ThroughputOptions& options);
std::string to_json(const ThroughputReport& report, const ThroughputOptions& options);

}  // namespace warren::perf
