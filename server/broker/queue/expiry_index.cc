// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/expiry_index.h"

#include <algorithm>

namespace warren::broker {

using storage::DueEntry;

void ExpiryIndex::start_on_disk(bool has_entries) {
  if (has_entries) horizon_ = {0, 0};
  latest_ahead_ms_ = kNoDeadline;
}

bool ExpiryIndex::wants(std::int64_t deadline_ms) {
  if (index_all_) return true;
  const bool somebody_ahead = latest_ahead_ms_ != kEarly;
  if (somebody_ahead && deadline_ms < latest_ahead_ms_ - kToleranceMs) return true;
  latest_ahead_ms_ = std::max(latest_ahead_ms_, deadline_ms);
  return false;
}

void ExpiryIndex::add(const ReadyMessage& message) {
  if (!message.indexed || message.deadline_ms == kNoDeadline) return;
  // The disk may have told of it already.
  entries_.try_emplace({message.deadline_ms, message.seq}, Info{0, message.kept == Kept::durable});
}

void ExpiryIndex::remove(const ReadyMessage& message) {
  if (message.indexed) entries_.erase({message.deadline_ms, message.seq});
}

void ExpiryIndex::clear() {
  entries_.clear();
  horizon_ = kEverything;
}

std::vector<DueEntry> ExpiryIndex::take_due(std::int64_t now_ms, std::size_t limit) {
  std::vector<DueEntry> due;
  while (!entries_.empty() && due.size() < limit) {
    const auto first = entries_.begin();
    // Beyond the horizon the disk may have earlier ones.
    if (first->first.first > now_ms || first->first > horizon_) break;
    due.push_back(DueEntry{first->first.first, first->first.second, first->second.chunk});
    entries_.erase(first);
  }
  return due;
}

void ExpiryIndex::look_again(const DueEntry& entry) {
  lower_horizon({entry.due_ms, entry.seq - 1});
}

void ExpiryIndex::lower_horizon(Key to) {
  horizon_ = std::min(horizon_, to);
  lowered_ = std::min(lowered_, to);
}

std::int64_t ExpiryIndex::next_ms() const {
  return entries_.empty() ? kNoDeadline : entries_.begin()->first.first;
}

bool ExpiryIndex::wants_refill() const {
  if (horizon_ == kEverything) return false;
  return entries_.size() < kRefill || horizon_ < entries_.begin()->first;
}

void ExpiryIndex::refill(const std::vector<DueEntry>& entries, bool complete) {
  for (const DueEntry& entry : entries) {
    entries_[{entry.due_ms, entry.seq}] = Info{entry.chunk, true};
    stored_ = std::max(stored_, entry.seq);
  }
  const Key read_to = complete ? kEverything : Key{entries.back().due_ms, entries.back().seq};
  // What was stored meanwhile may be missing.
  horizon_ = std::min(read_to, lowered_);
  bound();
}

void ExpiryIndex::on_stored(Seq stored) {
  stored_ = std::max(stored_, stored);
  bound();
}

// Above the bound half of the entries go, the latest first, as far as the disk has them.
void ExpiryIndex::bound() {
  if (entries_.size() <= kEntriesMax) return;
  std::size_t left = entries_.size();
  for (auto at = entries_.end(); left > kEntriesMax / 2 && at != entries_.begin();) {
    --at;
    if (!at->second.durable || at->first.second > stored_) continue;
    lower_horizon({at->first.first, at->first.second - 1});
    at = entries_.erase(at);
    --left;
  }
}

}  // namespace warren::broker
