// SPDX-License-Identifier: Apache-2.0
// What a load measured, and how people (text) and programs (JSON) read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "server/tools/perf/latency_histogram.h"
#include "server/tools/perf/options.h"
#include "server/tools/perf/process_stats.h"
#include "server/tools/perf/verifier.h"

namespace warren::perf {

struct Counters {
  std::uint64_t published = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t consumed = 0;
  std::uint64_t published_bytes = 0;
  std::uint64_t consumed_bytes = 0;

  Counters minus(const Counters& earlier) const;
};

// What the generator itself had to do: near 1 for a thread means that it is the limit.
struct ClientCost {
  unsigned threads = 0;
  double cores = 0;
  double busiest = 0;  // share of the busiest thread
};

struct LoadReport {
  double seconds = 0;      // measured
  Counters counters = {};  // in that time
  // Of the whole run, with warm-up and end.
  std::uint64_t nacked = 0;
  std::uint64_t returned = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t empty_gets = 0;
  LatencyHistogram confirm_latency = {};
  LatencyHistogram latency = {};  // publish to delivery
  std::optional<ServerCost> server = {};
  std::optional<Verdict> verdict = {};
  ClientCost client = {};

  double publish_rate() const { return rate(counters.published); }
  double confirm_rate() const { return rate(counters.confirmed); }
  double consume_rate() const { return rate(counters.consumed); }
  // Broker CPU per published message (per consumed one when nothing was published).
  double cpu_microseconds_per_message() const;
  double rate(std::uint64_t count) const {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  }
};

// "1 publisher, 1 consumer, 16 B, transient, ...": what a figure needs beside it.
std::string scenario_text(const LoadOptions& options);
boost::json::object scenario_json(const LoadOptions& options);

std::string to_text(const LoadReport& report, const LoadOptions& options);
boost::json::object to_json(const LoadReport& report, const LoadOptions& options);
// The measured part of it.
boost::json::object figures_json(const LoadReport& report);

double mebibytes(std::uint64_t bytes);
// Rounded to `digits` behind the point, so that JSON stays readable.
double rounded(double value, int digits);

}  // namespace warren::perf
