// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/ready_store.h"

#include <algorithm>

#include "storage/base/assert.h"

namespace warren::broker {

void ReadyStore::start_on_disk(const storage::LogState& state) {
  WARREN_ASSERT(count() == 0);
  const bool estimated = state.estimated && state.head < state.next;
  if (state.live_count == 0 && !estimated) return;
  gap_.begin = state.head;
  gap_.end = state.next;
  gap_.count = std::max<std::uint64_t>(state.live_count, 1);
  gap_.durable_count = state.live_count;
  gap_.durable_bytes = state.live_bytes;
  gap_.durable_body_bytes = gap_.body_bytes = state.live_weight;
  gap_.estimated = estimated;
}

void ReadyStore::count_in(const ReadyMessage& message) {
  ++in_memory_;
  body_bytes_ += message.body_bytes;
}

void ReadyStore::count_out(const ReadyMessage& message) {
  --in_memory_;
  body_bytes_ -= message.body_bytes;
}

void ReadyStore::push(ReadyMessage message) {
  const std::uint64_t bytes = message.block->size();
  count_in(message);
  if (has_gap()) {
    WARREN_ASSERT(message.kept != Kept::memory);
    tail_bytes_ += bytes;
    tail_.push_back(std::move(message));
    return;
  }
  window_bytes_ += bytes;
  window_.push_back(std::move(message));
}

void ReadyStore::give_back(ReadyMessage message) {
  // B1: what was delivered is older than everything that was not.
  WARREN_INVARIANT(B1, window_.empty() || message.seq < window_.front().seq);
  const Seq seq = message.seq;
  count_in(message);
  const bool added = returned_.emplace(seq, std::move(message)).second;
  WARREN_INVARIANT(B2, added);
}

ReadyMessage* ReadyStore::front() {
  if (!returned_.empty()) return &returned_.begin()->second;
  skip_removed(window_);
  if (!window_.empty()) return &window_.front();
  return nullptr;
}

ReadyMessage ReadyStore::take_front() {
  if (!returned_.empty()) {
    auto node = returned_.extract(returned_.begin());
    count_out(node.mapped());
    return std::move(node.mapped());
  }
  skip_removed(window_);
  WARREN_ASSERT(!window_.empty());
  ReadyMessage message = std::move(window_.front());
  window_.pop_front();
  window_bytes_ -= message.block->size();
  count_out(message);
  return message;
}

void ReadyStore::skip_removed(boost::container::deque<ReadyMessage>& list) {
  while (!list.empty() && list.front().block == nullptr) list.pop_front();
}

std::optional<ReadyMessage> ReadyStore::take_from(boost::container::deque<ReadyMessage>& list,
                                                  Seq seq) {
  const auto at = std::lower_bound(list.begin(), list.end(), seq,
                                   [](const ReadyMessage& m, Seq s) { return m.seq < s; });
  if (at == list.end() || at->seq != seq || at->block == nullptr) return std::nullopt;
  ReadyMessage message = std::move(*at);
  at->block = nullptr;
  return message;
}

std::optional<ReadyMessage> ReadyStore::remove(Seq seq) {
  std::optional<ReadyMessage> removed;
  if (const auto at = returned_.find(seq); at != returned_.end()) {
    removed = std::move(at->second);
    returned_.erase(at);
  } else if ((removed = take_from(window_, seq))) {
    window_bytes_ -= removed->block->size();
    skip_removed(window_);
  }
  if (removed) count_out(*removed);
  return removed;
}

void ReadyStore::remove_from_gap(const ReadyMessage& message) {
  WARREN_INVARIANT(B2, in_gap(message.seq));
  leave_gap(message);
}

bool ReadyStore::on_stored(Seq first, Seq last) {
  if (first < keep_below_) return false;
  if (has_gap()) return extend_gap(last);
  if (window_bytes_ > window_bytes_max_) return start_gap(first, last);
  return false;
}

bool ReadyStore::extend_gap(Seq last) {
  // The tail begins with the oldest range that is not in the gap: ranges are reported in order.
  std::size_t n = 0;
  while (n < tail_.size() && tail_[n].seq <= last) ++n;
  if (n == 0) return false;
  for (std::size_t i = 0; i < n; ++i) {
    tail_bytes_ -= tail_.front().block->size();
    drop_into_gap(tail_.front());
    tail_.pop_front();
  }
  gap_.end = last + 1;
  return true;
}

bool ReadyStore::start_gap(Seq first, Seq last) {
  if (window_.empty() || window_.front().seq > first) return false;  // part of it was taken
  const auto begin = std::lower_bound(window_.begin(), window_.end(), first,
                                      [](const ReadyMessage& m, Seq seq) { return m.seq < seq; });
  if (begin == window_.end()) return false;
  std::uint64_t range_bytes = 0;
  for (auto at = begin; at != window_.end(); ++at) {
    // What left out of its turn may still be on the disk: it must not be read again.
    if (at->block == nullptr || at->kept == Kept::memory) return false;
    if (at->seq <= last) range_bytes += at->block->size();
  }
  // Keep a head to deliver from, unless this one range is very large.
  if (begin == window_.begin() && range_bytes < 4 * window_bytes_max_) return false;

  gap_ = Gap{};
  gap_.begin = first;
  gap_.end = last + 1;
  for (auto at = begin; at != window_.end(); ++at) {
    const std::uint64_t bytes = at->block->size();
    window_bytes_ -= bytes;
    if (at->seq <= last) {
      drop_into_gap(*at);
    } else {
      tail_bytes_ += bytes;
      tail_.push_back(std::move(*at));
    }
  }
  window_.erase(begin, window_.end());
  return true;
}

void ReadyStore::drop_into_gap(const ReadyMessage& message) {
  count_out(message);
  ++gap_.count;
  gap_.body_bytes += message.body_bytes;
  if (message.kept != Kept::durable) return;
  ++gap_.durable_count;
  gap_.durable_bytes += message.block->size();
  gap_.durable_body_bytes += message.body_bytes;
}

// What is damaged on disk, and what an older store did not count, makes these estimates.
void ReadyStore::leave_gap(const ReadyMessage& message) {
  const auto take = [](std::uint64_t& from, std::uint64_t what) { from -= std::min(from, what); };
  take(gap_.count, 1);
  if (gap_.estimated) gap_.count = std::max<std::uint64_t>(gap_.count, 1);
  take(gap_.body_bytes, message.body_bytes);
  if (message.kept != Kept::durable) return;
  take(gap_.durable_count, 1);
  take(gap_.durable_bytes, message.block->size());
  take(gap_.durable_body_bytes, message.body_bytes);
}

std::uint64_t ReadyStore::on_read(std::vector<ReadyMessage> messages, Seq next) {
  WARREN_ASSERT(has_gap());
  WARREN_ASSERT(next > gap_.begin && next <= gap_.end);
  for (ReadyMessage& message : messages) {
    WARREN_INVARIANT(B1, window_.empty() || message.seq > window_.back().seq);
    leave_gap(message);
    count_in(message);
    window_bytes_ += message.block->size();
    window_.push_back(std::move(message));
  }
  gap_.begin = next;
  if (has_gap()) return 0;
  const std::uint64_t missing = gap_.estimated ? 0 : gap_.count;
  gap_ = Gap{};
  take_tail();
  return missing;
}

void ReadyStore::take_tail() {
  for (ReadyMessage& message : tail_) window_.push_back(std::move(message));
  tail_.clear();
  window_bytes_ += tail_bytes_;
  tail_bytes_ = 0;
}

ReadyStore::Gap ReadyStore::close_empty_gap() {
  WARREN_ASSERT(gap_.count == 0);
  const Gap closed = gap_;
  gap_ = Gap{};
  take_tail();
  return closed;
}

std::vector<ReadyMessage> ReadyStore::clear(Gap& gap) {
  std::vector<ReadyMessage> all;
  all.reserve(in_memory_);
  for (auto& [seq, message] : returned_) all.push_back(std::move(message));
  for (auto* part : {&window_, &tail_}) {
    for (ReadyMessage& message : *part) {
      if (message.block != nullptr) all.push_back(std::move(message));
    }
    part->clear();
  }
  returned_.clear();
  window_bytes_ = 0;
  tail_bytes_ = 0;
  in_memory_ = 0;
  body_bytes_ = 0;
  gap = gap_;
  gap_ = Gap{};
  if (!all.empty()) keep_below_ = std::max(keep_below_, all.back().seq + 1);
  return all;
}

}  // namespace warren::broker
