// SPDX-License-Identifier: Apache-2.0
// Publishes of a channel in confirm mode: each is answered exactly once (P5), as soon as all queues
// that keep it durably have it (S3). What is confirmed without a gap leaves as one answer with
// multiple=true.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace warren::session {

// Runs on: the channel's shard. Owned by: Channel. Bound: what the client publishes without
// waiting, held back by BrokerLimits::backlog_bytes.
class ConfirmTracker {
 public:
  // The number that the next publish gets.
  std::uint64_t next_seq() const { return base_ + window_.size(); }
  // The next publish waits for `pending` queues; 0: it is confirmed with the next flush.
  void add(std::uint32_t pending);
  // One queue has it. REQUIRES: it waits for one.
  void confirm(std::uint64_t seq);

  // Calls answer(seq, multiple) for everything that became confirmed.
  template <class Answer>
  void flush(Answer&& answer) {
    const std::uint64_t before = base_;
    std::uint64_t fresh = 0;
    while (!window_.empty() && (window_.front() == 0 || window_.front() == kAnswered)) {
      if (window_.front() == 0) ++fresh;
      window_.pop_front();
      ++base_;
    }
    if (fresh > 0) answer(base_ - 1, base_ - before > 1);
    for (const std::uint64_t seq : early_) {
      if (seq < base_) continue;
      window_[seq - base_] = kAnswered;
      answer(seq, false);
    }
    early_.clear();
  }
  bool has_answers() const { return !early_.empty() || (!window_.empty() && window_.front() == 0); }
  std::size_t unconfirmed() const { return window_.size(); }

 private:
  static constexpr std::uint32_t kAnswered = UINT32_MAX;

  std::uint64_t base_ = 1;
  std::deque<std::uint32_t> window_;  // queues each publish waits for
  std::vector<std::uint64_t> early_;  // confirmed, perhaps while an older one is not
};

}  // namespace warren::session
