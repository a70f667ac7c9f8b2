// SPDX-License-Identifier: Apache-2.0
// A connection that publishes as fast as window, rate and socket allow.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "storage/base/clock.h"

#include "server/tools/perf/latency_histogram.h"
#include "server/tools/perf/link.h"
#include "server/tools/perf/throughput_options.h"

namespace warren::perf {

// Bodies of at least this many bytes carry their send time (microseconds, steady clock) and number.
inline constexpr std::size_t kStampBytes = 16;

std::uint64_t steady_microseconds();

class Publisher final : public Link {
 public:
  Publisher(boost::asio::io_context& io, WireClient&& opened, const ThroughputOptions& options,
            const std::string& routing_key);

  // Publishes nothing more; what is unconfirmed is still waited for.
  void stop() { stopping_ = true; }
  // All published and, with confirms, all answered.
  bool finished() const;

  // Thread safety: any thread may read the two counters.
  std::uint64_t published() const { return published_.load(std::memory_order_relaxed); }
  std::uint64_t confirmed() const { return confirmed_.load(std::memory_order_relaxed); }
  std::uint64_t nacked() const { return nacked_; }
  std::uint64_t returned() const { return returned_; }
  const LatencyHistogram& confirm_latency() const { return confirm_latency_; }

 private:
  void fill(std::string& out) override;
  void on_frame(const amqp::Frame& frame) override;
  void on_read_done() override {}

  void build_message(const std::string& routing_key);
  std::uint64_t allowed_now();
  void append_messages(std::string& out, std::uint64_t count);
  void settle(std::uint64_t tag, bool multiple);
  void settle_one(std::uint64_t tag, std::uint64_t now);
  void schedule_tick();

  const ThroughputOptions& options_;
  std::string message_;       // all frames of one publish
  std::size_t stamp_at_ = 0;  // where in message_ the stamp goes; 0: no stamp
  std::atomic<std::uint64_t> published_ = 0;
  std::atomic<std::uint64_t> confirmed_ = 0;  // acked or nacked
  std::uint64_t nacked_ = 0;
  std::uint64_t returned_ = 0;
  std::uint64_t settled_below_ = 1;     // every tag below is answered
  std::vector<std::uint8_t> answered_;  // ring by tag: answered out of order
  std::vector<std::uint64_t> sent_at_;  // ring by tag
  LatencyHistogram confirm_latency_;
  boost::asio::steady_timer tick_;
  bool ticking_ = false;
  Instant began_{};
  bool stopping_ = false;
};

}  // namespace warren::perf
