// SPDX-License-Identifier: Apache-2.0
// The connections of a load: opened, spread over threads, started, stopped, asked.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"

#include "server/tools/perf/lane.h"
#include "server/tools/perf/report.h"
#include "server/tools/perf/topology.h"

namespace warren::perf {

struct Latencies {
  LatencyHistogram delivery;
  LatencyHistogram confirm;
};

// Runs on: the thread of the run. Counters may be read at any time; all else is asked of the lanes.
class LoadLinks {
 public:
  LoadLinks(const LoadOptions& options, const Topology& topology);

  // Opens everything; nothing is consumed or published yet.
  Status open();
  void start_consumers(Instant stamps_from);
  bool consumers_ready() const;
  void start_publishers(Instant at);
  void stop_publishers();
  void stop_consumers();
  void begin_close();

  bool publishers_finished();
  bool consumers_finished();
  bool closed();
  // Why a link ended; empty while all is well.
  std::string failure();

  Counters counters() const;
  // -D: all wanted messages are there.
  bool all_consumed() const { return left_.load(std::memory_order_relaxed) <= 0; }
  Latencies latencies();
  // CPU seconds of each thread.
  std::vector<double> cpu_seconds();
  std::size_t size() const { return options_.traffic.publishing() + options_.traffic.consuming(); }
  // What a report needs besides; when all is closed.
  void collect(LoadReport& report);

 private:
  Status open_publishers(unsigned index);
  Status open_consumers(unsigned index);
  Status prepare_channel(WireClient& client, std::uint16_t channel, bool publishes);
  Publisher::Part publisher_part(unsigned number);
  Consumer::Part consumer_part(unsigned number);
  Verdict verdict(std::uint64_t refused) const;
  // On every lane's thread; does not wait.
  template <class F>
  void tell(F task);
  // True when it is true on every lane.
  template <class F>
  bool ask(F question);

  const LoadOptions& options_;
  const Topology& topology_;
  std::string consumer_arguments_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::uint32_t streams_ = 0;
  std::atomic<std::int64_t> left_ = 0;
};

}  // namespace warren::perf
