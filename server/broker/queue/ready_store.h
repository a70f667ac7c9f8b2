// SPDX-License-Identifier: Apache-2.0
// The messages of a queue that can be delivered, in order of their seq, most of them on disk only:
//
//   returned        window             gap                    tail
//   (requeued)      (in memory)        (on disk only)         (in memory, on its way to the disk)
//   2r 5r           9 10 11            12 ....... 5000        5001 5002
//
// All of returned is older than the window, all of the window older than the gap, all of the gap
// older than the tail. Without a gap there is no tail. Once there is a gap every new message is
// stored (durable or paged), so that the gap can grow: memory does not grow with depth. Pure data
// structure; reading the gap is the queue's job.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <boost/container/deque.hpp>

#include "storage/base/block.h"
#include "storage/base/ids.h"
#include "storage/engine/queue_log.h"

namespace warren::broker {

enum class Kept : std::uint8_t {
  memory,   // nowhere else
  durable,  // in the log, or on its way there
  paged,    // spilled, or on its way there
};

// Never expires.
inline constexpr std::int64_t kNoDeadline = INT64_MAX;

struct ReadyMessage {
  Seq seq = 0;
  BlockRef block;  // null: removed out of its turn
  Kept kept = Kept::memory;
  bool redelivered = false;
  bool indexed = false;  // the lane's expiry index may know it
  std::uint32_t body_bytes = 0;
  std::uint32_t returns = 0;               // how often it came back
  std::int64_t deadline_ms = kNoDeadline;  // wall clock
};

// Runs on: its queue's shard. Owned by: Queue. Bound: `window_bytes` of window, what is under way
// to the disk, and what consumers give back.
class ReadyStore {
 public:
  explicit ReadyStore(std::uint64_t window_bytes) : window_bytes_max_(window_bytes) {}

  // From now on; what is in memory stays there until it is delivered.
  void set_window(std::uint64_t window_bytes) { window_bytes_max_ = window_bytes; }

  // Recovered: all of [head, next) is on disk.
  void start_on_disk(const storage::LogState& state);

  void push(ReadyMessage message);
  void give_back(ReadyMessage message);

  // The message whose turn it is; null when it is not in memory (or there is none).
  ReadyMessage* front();
  ReadyMessage take_front();

  bool has_gap() const { return gap_.begin != gap_.end; }
  bool wants_memory_relief() const { return has_gap() || window_bytes_ > window_bytes_max_; }
  // A good part of the window is used, and there is no gap yet. `still`: it was so before.
  bool is_filling(bool still) const {
    return !has_gap() && window_bytes_ > window_bytes_max_ / (still ? 8 : 4);
  }
  std::uint64_t count() const { return in_memory_ + gap_.count; }
  // Of the bodies of all of them.
  std::uint64_t body_bytes() const { return body_bytes_ + gap_.body_bytes; }
  std::uint64_t memory_bytes() const { return window_bytes_ + tail_bytes_; }

  // All of [first, last] that was stored is on disk now. True: the store let go of it, and so may
  // the log.
  bool on_stored(Seq first, Seq last);

  // Should the gap be read? From gap_begin() to gap_end(), about read_bytes().
  bool wants_read() const { return has_gap() && window_bytes_ < window_bytes_max_ / 2; }
  Seq gap_begin() const { return gap_.begin; }
  Seq gap_end() const { return gap_.end; }
  std::size_t read_bytes() const { return static_cast<std::size_t>(window_bytes_max_ / 2) + 1; }
  // What a read brought: everything below `next` is covered. Returns how many messages were
  // expected in a gap that is now closed and did not come (damaged on disk).
  std::uint64_t on_read(std::vector<ReadyMessage> messages, Seq next);

  struct Gap {
    Seq begin = 0;
    Seq end = 0;
    std::uint64_t count = 0;          // messages in it, durable and paged
    std::uint64_t durable_count = 0;  // of them durable
    std::uint64_t durable_bytes = 0;
    std::uint64_t durable_body_bytes = 0;
    std::uint64_t body_bytes = 0;
    // The log met losses: it may hold more than was counted, and count is at least 1.
    bool estimated = false;
  };
  bool in_tail(Seq seq) const {
    return !tail_.empty() && seq >= tail_.front().seq && seq <= tail_.back().seq;
  }
  template <class Visit>
  void for_each(Visit visit) {
    for (auto& [seq, message] : returned_) visit(message);
    for (auto* part : {&window_, &tail_}) {
      for (ReadyMessage& message : *part) {
        if (message.block != nullptr) visit(message);
      }
    }
  }
  // Nothing is left in the gap: closes it. REQUIRES: no read of it is under way.
  Gap close_empty_gap();
  bool in_gap(Seq seq) const { return seq >= gap_.begin && seq < gap_.end; }
  // Takes a message out of its turn. Nothing if it is not here, or in the tail or the gap: what is
  // in the tail is in the gap soon.
  std::optional<ReadyMessage> remove(Seq seq);
  // A message of the gap, read apart, is gone.
  void remove_from_gap(const ReadyMessage& message);
  const Gap& gap() const { return gap_; }

  // Everything at once: the messages in memory are given to the caller, the gap as its limits.
  std::vector<ReadyMessage> clear(Gap& gap);

 private:
  bool start_gap(Seq first, Seq last);
  bool extend_gap(Seq last);
  void drop_into_gap(const ReadyMessage& message);
  void leave_gap(const ReadyMessage& message);
  void take_tail();
  void count_in(const ReadyMessage& message);
  void count_out(const ReadyMessage& message);
  static std::optional<ReadyMessage> take_from(boost::container::deque<ReadyMessage>& list,
                                               Seq seq);
  static void skip_removed(boost::container::deque<ReadyMessage>& list);

  std::uint64_t window_bytes_max_;
  std::map<Seq, ReadyMessage> returned_;
  boost::container::deque<ReadyMessage> window_;
  std::uint64_t window_bytes_ = 0;
  Gap gap_;
  boost::container::deque<ReadyMessage> tail_;
  std::uint64_t tail_bytes_ = 0;
  std::uint64_t in_memory_ = 0;   // messages of returned, window and tail
  std::uint64_t body_bytes_ = 0;  // of these
  Seq keep_below_ = 0;            // ranges that begin below were cleared in part: never released
};

}  // namespace warren::broker
