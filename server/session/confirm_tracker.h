// SPDX-License-Identifier: Apache-2.0
// Publishes of a channel in confirm mode: each is answered exactly once (P5), as soon as all queues
// that it waits for have answered: with an ack when all of them have it (S3), with a nack when one
// refused it. What is acked without a gap leaves as one answer with multiple=true, never across a
// nack.
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
  // One queue has it, or has refused it. REQUIRES: it waits for one.
  void confirm(std::uint64_t seq) { answer(seq, false); }
  void refuse(std::uint64_t seq) { answer(seq, true); }

  // Calls answer(seq, multiple, acked) for everything that became decided.
  template <class Answer>
  void flush(Answer&& answer) {
    std::uint64_t acked = 0;  // to be told, without a nack between them
    std::uint64_t last = 0;   // of these; never one that was answered before
    const auto tell = [&] {
      if (acked > 0) answer(last, acked > 1, true);
      acked = 0;
    };
    while (!window_.empty() && window_.front().pending == 0) {
      const Publish publish = window_.front();
      const std::uint64_t seq = base_;
      window_.pop_front();
      ++base_;
      if (publish.answered) continue;
      if (publish.refused) {
        tell();
        answer(seq, false, false);
      } else {
        ++acked;
        last = seq;
      }
    }
    tell();
    for (const std::uint64_t seq : early_) {
      if (seq < base_) continue;
      Publish& publish = window_[seq - base_];
      publish.answered = true;
      answer(seq, false, !publish.refused);
    }
    early_.clear();
  }
  bool has_answers() const {
    return !early_.empty() || (!window_.empty() && window_.front().pending == 0);
  }
  std::size_t unconfirmed() const { return window_.size(); }

 private:
  struct Publish {
    std::uint32_t pending = 0;  // queues that have not answered
    bool refused = false;
    bool answered = false;
  };
  void answer(std::uint64_t seq, bool refused);

  std::uint64_t base_ = 1;
  std::deque<Publish> window_;
  std::vector<std::uint64_t> early_;  // decided, perhaps while an older one is not
};

}  // namespace warren::session
