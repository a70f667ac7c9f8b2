// SPDX-License-Identifier: Apache-2.0
// What the random workload does with messages that have a time of their own, have come back, or
// leave with their publisher still waiting. Checks: S16.
#pragma once

#include <algorithm>

#include "tests/unit/storage/engine/workload.h"

namespace warren::storage {

// A message leaves for another queue of its shard, and its publisher waits for that one instead.
inline void Workload::move_some() {
  LedgerQueue* const queue = any_queue();
  LedgerQueue* const target = any_queue();
  if (queue == nullptr || queue == target || queue->shard != target->shard) return;
  const std::size_t count = 1 + pick(4);
  std::vector<Seq> seqs;
  for (const auto& [seq, message] : queue->messages) {
    if (seqs.size() == count) break;
    if (!message.settled && !message.on_disk_only) seqs.push_back(seq);
  }
  for (const Seq seq : seqs) {
    append(*target, Durability::durable, 0, false);
    if (const auto token = queue->log->detach_token(seq)) {
      const auto at = tokens_.find(token->a);
      ASSERT_NE(at, tokens_.end()) << "detached a token that had come back";
      EXPECT_EQ(at->second, Where(queue->id, seq));
      at->second = {target->id, target->next - 1};
      driver_.shard(queue->shard).barrier(*token);
    }
    settle(*queue, seq);
  }
}

inline void Workload::note_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr) return;
  std::uint64_t left = 1 + pick(3);
  for (auto& [seq, message] : queue->messages) {
    if (left == 0) return;
    if (!message.live_durable() || message.on_disk_only || !message.delivered) continue;
    if (pick(2) == 0) continue;
    queue->log->note_returns(seq, ++message.notes.returns);
    --left;
  }
}

inline void Workload::index_step() {
  LedgerQueue* const queue = any_queue();
  if (queue != nullptr) {
    // What was fetched before is dealt with now.
    for (auto& [seq, message] : queue->messages) {
      if (message.fetched && !message.settled && pick(2) == 0) end_fetch(*queue, seq);
    }
  }
  pick(2) == 0 ? ask_due() : fetch_some();
}

inline void Workload::ask_due() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr || queue->reading_due) return;
  queue->reading_due = true;
  DueEntry after;
  if (pick(2) == 0) after = DueEntry{static_cast<std::int64_t>(pick(kDueMax)), pick(50), 0};
  const std::size_t limit = 1 + pick(20);
  std::vector<DueEntry> expected;
  for (const auto& [seq, message] : queue->messages) {
    const DueEntry entry{message.notes.due_ms, seq, 0};
    const bool there = message.live_durable() && message.stored && message.notes.due_ms != 0;
    if (there && std::pair(entry.due_ms, seq) > std::pair(after.due_ms, after.seq)) {
      expected.push_back(entry);
    }
  }
  std::ranges::sort(expected);
  queue->log->read_due(after, limit,
                       [this, id = queue->id, expected, after, limit](const auto& result) {
                         due_answered(id, expected, after, limit, result);
                       });
}

// `expected`: what was in the index when it was asked for; some of it may be gone meanwhile.
inline void Workload::due_answered(LogId id, const std::vector<DueEntry>& expected,
                                   const DueEntry& after, std::size_t limit,
                                   const Result<std::vector<DueEntry>>& result) {
  ASSERT_TRUE(result.ok());
  LedgerQueue& queue = *queue_of(id);
  queue.reading_due = false;
  EXPECT_LE(result->size(), limit);
  EXPECT_TRUE(std::ranges::is_sorted(*result));
  std::set<DueTime> found;
  for (const DueEntry& entry : *result) {
    const DueTime key{entry.due_ms, entry.seq};
    EXPECT_GT(key, DueTime(after.due_ms, after.seq));
    found.insert(key);
    const auto known = queue.messages.find(entry.seq);
    const bool mine = known != queue.messages.end() && known->second.notes.due_ms == entry.due_ms;
    const bool left = queue.due_left.contains(key);
    EXPECT_TRUE(mine || left) << "due entry of nothing: " << entry.seq;
    if (mine) known->second.chunk = entry.chunk;
    // Of a message that was settled with a range: its entry goes now, or is left.
    if (left && !queue.due_dropped.contains(key) && pick(2) == 0) {
      queue.log->erase_due(entry);
      queue.due_dropped.insert(key);
    }
  }
  const bool whole = result->size() < limit;
  for (const DueEntry& entry : expected) {
    const DueTime key{entry.due_ms, entry.seq};
    if (queue.messages.at(entry.seq).settled) continue;
    if (!whole && key > *found.rbegin()) continue;
    EXPECT_TRUE(found.contains(key)) << "not in the due index: " << entry.seq;
  }
}

inline void Workload::fetch_some() {
  LedgerQueue* const queue = any_queue();
  if (queue == nullptr || queue->fetching) return;
  std::vector<DueEntry> wanted;
  for (const auto& [seq, message] : queue->messages) {
    if (message.chunk == 0 || message.fetched || !message.on_disk_only) continue;
    // Of what is settled the index may tell until the next commit.
    if (message.settled && pick(8) != 0) continue;
    if (pick(3) == 0) wanted.push_back({message.notes.due_ms, seq, message.chunk});
  }
  if (wanted.empty()) return;
  queue->fetching = true;
  queue->log->fetch(wanted, [this, id = queue->id, wanted](const auto& result) {
    fetch_answered(id, wanted, result);
  });
}

inline void Workload::fetch_answered(LogId id, const std::vector<DueEntry>& wanted,
                                     const Result<std::vector<StoredMessage>>& result) {
  ASSERT_TRUE(result.ok());
  LedgerQueue& queue = *queue_of(id);
  queue.fetching = false;
  std::set<Seq> came;
  for (const StoredMessage& stored : *result) {
    came.insert(stored.seq);
    LedgerMessage& message = queue.messages.at(stored.seq);
    EXPECT_EQ(text_of(stored), message.body);
    EXPECT_EQ(stored.returns, message.notes.returns);
    EXPECT_FALSE(message.settled) << "fetched a settled message: " << stored.seq;
    EXPECT_TRUE(message.on_disk_only) << "fetched a message that is held: " << stored.seq;
    message.fetched = true;
    if (pick(3) != 0) end_fetch(queue, stored.seq);
  }
  for (const DueEntry& entry : wanted) {
    const LedgerMessage& message = queue.messages.at(entry.seq);
    if (message.settled || !message.on_disk_only) continue;
    EXPECT_TRUE(came.contains(entry.seq)) << "not fetched: " << entry.seq;
  }
}

inline void Workload::end_fetch(LedgerQueue& queue, Seq seq) {
  LedgerMessage& message = queue.messages.at(seq);
  message.fetched = false;
  if (pick(2) == 0) {
    settle(queue, seq);
  } else {
    queue.log->put_back(seq);
  }
}

// Forgets the index but for what the queue holds.
inline void Workload::reset_index(LedgerQueue& queue) {
  std::vector<DueEntry> keep;
  for (const auto& [seq, message] : queue.messages) {
    if (message.live_durable() && message.notes.due_ms != 0) {
      keep.push_back({message.notes.due_ms, seq, 0});
    }
  }
  queue.log->reset_due(std::move(keep));
  queue.due_dropped = queue.due_left;
}

}  // namespace warren::storage
