// SPDX-License-Identifier: Apache-2.0
// A channel that consumes or polls, and acknowledges in batches.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "server/tools/perf/link.h"
#include "server/tools/perf/options.h"
#include "server/tools/perf/verifier.h"

namespace warren::perf {

class Consumer final : public Role {
 public:
  struct Part {
    std::vector<unsigned> queues = {};          // indexes
    std::vector<std::string> names = {};        // of these
    std::string arguments = {};                 // of basic.consume: content of the table
    std::atomic<std::int64_t>* left = nullptr;  // of all consumers; nullptr: no limit
  };

  Consumer(Link& link, std::uint16_t channel, const LoadOptions& options, Part part);

  // Messages that were due before this time are not of this run; 0: all are.
  void begin(std::uint64_t at_us) { began_us_ = at_us; }
  // Counts nothing more, acknowledges what was counted.
  void stop();
  // Everything counted is acknowledged.
  bool finished() const { return stopping_ && !committing_ && !link().writing(); }

  // Thread safety: any thread may read these.
  std::uint64_t consumed() const { return consumed_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  bool ready() const { return ready_.load(std::memory_order_acquire); }  // the broker delivers now

  std::uint64_t redelivered() const { return redelivered_; }
  std::uint64_t empty_gets() const { return empty_gets_; }
  const Verifier& verifier() const { return verifier_; }

 private:
  void fill(std::string& out) override;
  void on_frame(const amqp::Frame& frame) override;
  void on_read_done() override;

  void on_method(Bytes payload);
  void on_deliver(Bytes payload);
  void on_get_ok(Bytes payload);
  void on_header(Bytes payload);
  void on_body(Bytes payload);
  void on_complete();
  void check();
  void slow_down();
  void subscribe(std::string& out);
  void get(std::string& out);
  void acknowledge(std::string& out);

  const LoadOptions& options_;
  const Part part_;
  std::atomic<std::uint64_t> consumed_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<bool> ready_ = false;
  std::uint64_t counted_ = 0;  // consumed_, without the atomic on the way
  std::uint64_t counted_bytes_ = 0;
  std::uint64_t redelivered_ = 0;
  std::uint64_t empty_gets_ = 0;
  std::uint64_t began_us_ = 0;
  std::size_t subscribed_ = 0;  // queues that were asked for
  std::size_t confirmed_ = 0;   // and answered
  // The message that is arriving.
  std::uint64_t tag_ = 0;
  std::size_t at_queue_ = 0;  // in part_
  bool flagged_ = false;
  std::uint64_t body_size_ = 0;
  std::uint64_t body_left_ = 0;
  bool sound_ = true;
  Stamp stamp_;
  std::uint64_t read_at_ = 0;  // time of this read; 0: not taken yet
  // Acknowledging.
  std::uint64_t counted_tag_ = 0;  // of the last message that was counted
  std::uint64_t acked_tag_ = 0;    // everything up to it is acknowledged
  std::uint64_t in_tx_ = 0;        // acknowledged and not committed
  bool committing_ = false;
  bool getting_ = false;
  Instant get_at_{};   // not before
  Instant next_at_{};  // of a limited rate
  bool stopping_ = false;
  Verifier verifier_;
};

}  // namespace warren::perf
