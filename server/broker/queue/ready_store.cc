// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/ready_store.h"

#include <algorithm>

#include "storage/base/assert.h"

namespace warren::broker {

void ReadyStore::start_on_disk(Seq head, Seq next, std::uint64_t count, std::uint64_t bytes) {
  WARREN_ASSERT(this->count() == 0);
  if (count == 0) return;
  gap_ = Gap{head, next, count, count, bytes};
}

void ReadyStore::push(ReadyMessage message) {
  const std::uint64_t bytes = message.block->size();
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
  const bool added = returned_.emplace(seq, std::move(message)).second;
  WARREN_INVARIANT(B2, added);
}

ReadyMessage* ReadyStore::front() {
  if (!returned_.empty()) return &returned_.begin()->second;
  if (!window_.empty()) return &window_.front();
  return nullptr;
}

ReadyMessage ReadyStore::take_front() {
  if (!returned_.empty()) {
    auto node = returned_.extract(returned_.begin());
    return std::move(node.mapped());
  }
  WARREN_ASSERT(!window_.empty());
  ReadyMessage message = std::move(window_.front());
  window_.pop_front();
  window_bytes_ -= message.block->size();
  return message;
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
    if (at->kept == Kept::memory) return false;
    if (at->seq <= last) range_bytes += at->block->size();
  }
  // Keep a head to deliver from, unless this one range is very large.
  if (begin == window_.begin() && range_bytes < 4 * window_bytes_max_) return false;

  gap_ = Gap{first, last + 1, 0, 0, 0};
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
  ++gap_.count;
  if (message.kept != Kept::durable) return;
  ++gap_.durable_count;
  gap_.durable_bytes += message.block->size();
}

std::uint64_t ReadyStore::on_read(std::vector<ReadyMessage> messages, Seq next) {
  WARREN_ASSERT(has_gap());
  WARREN_ASSERT(next > gap_.begin && next <= gap_.end);
  for (ReadyMessage& message : messages) {
    WARREN_INVARIANT(B1, window_.empty() || message.seq > window_.back().seq);
    const std::uint64_t bytes = message.block->size();
    gap_.count -= std::min<std::uint64_t>(gap_.count, 1);
    if (message.kept == Kept::durable) {
      gap_.durable_count -= std::min<std::uint64_t>(gap_.durable_count, 1);
      gap_.durable_bytes -= std::min<std::uint64_t>(gap_.durable_bytes, bytes);
    }
    window_bytes_ += bytes;
    window_.push_back(std::move(message));
  }
  gap_.begin = next;
  if (has_gap()) return 0;
  const std::uint64_t missing = gap_.count;
  gap_ = Gap{};
  for (ReadyMessage& message : tail_) window_.push_back(std::move(message));
  tail_.clear();
  window_bytes_ += tail_bytes_;
  tail_bytes_ = 0;
  return missing;
}

std::vector<ReadyMessage> ReadyStore::clear(Gap& gap) {
  std::vector<ReadyMessage> all;
  all.reserve(returned_.size() + window_.size() + tail_.size());
  for (auto& [seq, message] : returned_) all.push_back(std::move(message));
  for (auto* part : {&window_, &tail_}) {
    for (ReadyMessage& message : *part) all.push_back(std::move(message));
    part->clear();
  }
  returned_.clear();
  window_bytes_ = 0;
  tail_bytes_ = 0;
  gap = gap_;
  gap_ = Gap{};
  if (!all.empty()) keep_below_ = std::max(keep_below_, all.back().seq + 1);
  return all;
}

}  // namespace warren::broker
