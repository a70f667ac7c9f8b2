// SPDX-License-Identifier: Apache-2.0
// A connection that consumes, and acknowledges in batches.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "server/tools/perf/latency_histogram.h"
#include "server/tools/perf/link.h"
#include "server/tools/perf/throughput_options.h"

namespace warren::perf {

class Consumer final : public Link {
 public:
  Consumer(boost::asio::io_context& io, WireClient&& opened, const ThroughputOptions& options);

  bool finished() const {
    return options_.consume_count != 0 && consumed() >= options_.consume_count && !writing();
  }

  // Thread safety: any thread may read.
  std::uint64_t consumed() const { return consumed_.load(std::memory_order_relaxed); }
  std::uint64_t redelivered() const { return redelivered_; }
  const LatencyHistogram& latency() const { return latency_; }

 private:
  void fill(std::string& out) override;
  void on_frame(const amqp::Frame& frame) override;
  void on_read_done() override;

  void on_deliver(Bytes payload);
  void on_body_complete();

  const ThroughputOptions& options_;
  std::atomic<std::uint64_t> consumed_ = 0;
  std::uint64_t counted_ = 0;  // consumed_, without the atomic on the way
  std::uint64_t redelivered_ = 0;
  std::uint64_t tag_ = 0;        // of the message that is arriving
  std::uint64_t whole_tag_ = 0;  // of the last message that arrived as a whole
  std::uint64_t acked_tag_ = 0;  // everything up to it is acknowledged
  std::uint64_t body_left_ = 0;
  std::uint64_t sent_at_ = 0;  // stamp of the message that is arriving
  std::uint64_t read_at_ = 0;  // time of this read; 0: not taken yet
  bool first_body_frame_ = false;
  LatencyHistogram latency_;
};

}  // namespace warren::perf
