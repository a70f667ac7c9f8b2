// SPDX-License-Identifier: Apache-2.0
// A channel that publishes as fast as window, rate and socket allow.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/tools/perf/confirm_window.h"
#include "server/tools/perf/link.h"
#include "server/tools/perf/message_maker.h"
#include "server/tools/perf/options.h"
#include "server/tools/perf/pacer.h"

namespace warren::perf {

class Publisher final : public Role {
 public:
  struct Part {
    unsigned index = 0;              // of all publishers
    std::uint32_t first_stream = 0;  // it has one per target and priority
    std::uint64_t count = UINT64_MAX;
    std::vector<Target> targets = {};  // in turn
  };

  // Bounded by the options' lifetime.
  Publisher(Link& link, std::uint16_t channel, const LoadOptions& options, const Part& part);

  // Nothing is published before.
  void begin(Instant at);
  // Publishes nothing more; what is unanswered is still waited for.
  void stop();
  // All published and, with confirms or transactions, all answered.
  bool finished() const;

  // Thread safety: any thread may read these.
  std::uint64_t published() const { return published_.load(std::memory_order_relaxed); }
  std::uint64_t confirmed() const { return confirmed_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  std::uint64_t nacked() const { return nacked_; }
  std::uint64_t returned() const { return returned_; }
  std::uint32_t first_stream() const { return first_stream_; }
  const std::vector<std::uint64_t>& sent_by_stream() const { return sent_by_head_; }

 private:
  void fill(std::string& out) override;
  void on_frame(const amqp::Frame& frame) override;
  void on_read_done() override {}

  std::uint64_t allowed_now();
  std::uint64_t due_now();
  void append_messages(std::string& out, std::uint64_t count);
  void commit_if_due(std::string& out);
  void on_confirm(std::uint64_t tag, bool multiple, bool ack);
  void on_commit();
  void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) {
    counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }

  const LoadOptions& options_;
  const std::uint32_t first_stream_;
  const std::uint64_t count_max_;
  const Pacer pacer_;
  const MessageMaker maker_;
  Random random_;
  std::atomic<std::uint64_t> published_ = 0;
  std::atomic<std::uint64_t> confirmed_ = 0;  // acked, nacked or committed
  std::atomic<std::uint64_t> bytes_ = 0;      // of bodies
  std::uint64_t nacked_ = 0;
  std::uint64_t returned_ = 0;
  std::size_t next_head_ = 0;
  std::vector<std::uint64_t> sent_by_head_;
  std::optional<ConfirmWindow> window_;
  std::vector<std::uint64_t> in_tx_;  // when each of the open transaction was due
  bool committing_ = false;
  std::optional<Instant> began_;
  bool stopping_ = false;
};

}  // namespace warren::perf
