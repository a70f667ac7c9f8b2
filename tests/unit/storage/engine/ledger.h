// SPDX-License-Identifier: Apache-2.0
// What is known from outside about every message of a store, with pending states: the oracle of the
// random workload. After a crash an unfinished step may have happened or not, never half.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/engine/queue_log.h"

namespace warren::storage {

struct LedgerMessage {
  std::string body;
  Durability durability = Durability::durable;
  std::uint64_t fanout = 0;
  bool certain = false;               // its commit was reported: it must survive a crash
  bool stored = false;                // on_stored covered it, or it came from the disk
  bool on_disk_only = false;          // released, or not read yet
  bool settled = false;               // asked to go
  bool settle_certain = false;        // a barrier behind the settle came back
  bool delivered = false;             // in this life
  bool fetched = false;               // out of its turn, neither settled nor put back yet
  MessageNotes notes;                 // `returns`: what was noted last
  std::uint32_t returns_certain = 0;  // noted before a barrier that came back
  Seq chunk = 0;                      // where the due index says that it is, once that was asked

  bool live_durable() const { return !settled && durability == Durability::durable; }
};

// How the parts of one fan-out fared in a crash.
struct FanoutFate {
  int present = 0;
  int vanished = 0;  // not there though nobody settled them
};

using DueTime = std::pair<std::int64_t, Seq>;

// What a start found of one log.
struct FoundLog {
  LogState state;
  std::vector<StoredMessage> messages;
  std::vector<DueEntry> due;
};

// One log; a queue has as many as its definition says.
struct LedgerQueue {
  enum class Stage { declared, usable, dropping };

  std::string name;  // of the definition, which several may share
  unsigned lane = 0;
  unsigned shard = 0;
  QueueLog* log = nullptr;
  LogId id;
  Stage stage = Stage::declared;
  Seq next = 1;
  std::map<Seq, LedgerMessage> messages;           // settled ones stay until the next start
  std::vector<std::pair<Seq, Seq>> stored_ranges;  // from on_stored, not released yet
  std::map<Seq, Seq> disk_ranges;                  // [from, to): to be read again
  std::set<DueTime> due_left;                      // entries that outlive their messages
  std::set<DueTime> due_dropped;                   // of these: asked to go
  bool reading = false;
  bool reading_due = false;
  bool fetching = false;
  Seq delivered_max = 0;     // over all lives
  bool ever_stored = false;  // a durable message's commit was reported

  std::uint64_t live_count() const {
    return static_cast<std::uint64_t>(
        std::count_if(messages.begin(), messages.end(),
                      [](const auto& each) { return each.second.live_durable(); }));
  }
  std::uint64_t live_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [seq, message] : messages) {
      if (message.live_durable()) bytes += message.body.size();
    }
    return bytes;
  }
  std::uint64_t live_weight() const {
    std::uint64_t weight = 0;
    for (const auto& [seq, message] : messages) {
      if (message.live_durable()) weight += message.notes.weight;
    }
    return weight;
  }

  // Compares what a start found with what may and must be there, and takes it for the truth.
  void check_recovered(const FoundLog& found, bool clean,
                       std::map<std::uint64_t, FanoutFate>& fanouts);

 private:
  static void check_absent(Seq seq, const LedgerMessage& message, bool clean);
  static void check_present(const StoredMessage& found, const LedgerMessage& message, bool clean);
  void check_counters(const FoundLog& found) const;
  void check_due(const FoundLog& found);
  void check_mark(const FoundLog& found, const std::set<Seq>& present, bool clean) const;
  void take_for_truth(const FoundLog& found);
};

inline void LedgerQueue::check_absent(Seq seq, const LedgerMessage& message, bool clean) {
  if (message.durability == Durability::paged || message.settled) return;
  EXPECT_FALSE(message.certain) << "confirmed message lost: " << seq;
  EXPECT_FALSE(clean) << "clean stop lost message " << seq;
}

inline void LedgerQueue::check_present(const StoredMessage& found, const LedgerMessage& message,
                                       bool clean) {
  EXPECT_EQ(message.body, found.block->bytes());
  EXPECT_EQ(message.durability, Durability::durable) << "paged message survived: " << found.seq;
  EXPECT_FALSE(message.settle_certain) << "settled message is back: " << found.seq;
  EXPECT_FALSE(clean && message.settled) << "clean stop forgot a settle of " << found.seq;
  EXPECT_LE(found.returns, message.notes.returns) << found.seq;
  EXPECT_GE(found.returns, message.returns_certain) << "returns forgotten: " << found.seq;
  EXPECT_TRUE(!clean || found.returns == message.notes.returns) << found.seq;
}

// S15
inline void LedgerQueue::check_counters(const FoundLog& found) const {
  std::uint64_t bytes = 0;
  std::uint64_t weight = 0;
  for (const StoredMessage& message : found.messages) {
    bytes += message.block->size();
    weight += messages.at(message.seq).notes.weight;
  }
  EXPECT_EQ(found.state.live_count, found.messages.size());
  EXPECT_EQ(found.state.live_bytes, bytes);
  EXPECT_EQ(found.state.live_weight, weight);
}

// S16: each message with a time of its own is in the index, under the chunk that holds it; what is
// in there beside them was left by a settled range.
inline void LedgerQueue::check_due(const FoundLog& found) {
  EXPECT_TRUE(std::ranges::is_sorted(found.due));
  EXPECT_TRUE(found.due.empty() || found.state.has_due);
  std::map<Seq, DueEntry> by_seq;
  for (const DueEntry& entry : found.due) {
    EXPECT_TRUE(by_seq.emplace(entry.seq, entry).second) << "two due times: " << entry.seq;
  }
  for (const StoredMessage& message : found.messages) {
    LedgerMessage& known = messages.at(message.seq);
    const auto at = by_seq.find(message.seq);
    EXPECT_EQ(known.notes.due_ms != 0, at != by_seq.end())
        << "due index of " << message.seq << ", due at " << known.notes.due_ms << ", of log "
        << found.state.id.value << " with " << found.due.size() << " entries";
    if (at == by_seq.end()) continue;
    EXPECT_EQ(at->second.due_ms, known.notes.due_ms);
    EXPECT_LE(at->second.chunk, message.seq);
    known.chunk = at->second.chunk;
    by_seq.erase(at);
  }
  std::set<DueTime> left;
  for (const auto& [seq, entry] : by_seq) {
    left.emplace(entry.due_ms, seq);
    EXPECT_TRUE(due_left.contains({entry.due_ms, seq})) << "due entry of nothing: " << seq;
  }
  due_left = std::move(left);
}

// S14
inline void LedgerQueue::check_mark(const FoundLog& found, const std::set<Seq>& present,
                                    bool clean) const {
  Seq delivered_present = 0;
  for (const auto& [seq, message] : messages) {
    if (message.delivered && present.contains(seq)) delivered_present = seq;
  }
  const Seq mark = found.state.delivered_mark;
  EXPECT_GE(mark, delivered_present) << "delivered and not flagged";
  if (!clean) return;
  EXPECT_LE(mark, delivered_max);
  EXPECT_TRUE(!ever_stored || mark == delivered_max);
}

inline void LedgerQueue::check_recovered(const FoundLog& found, bool clean,
                                         std::map<std::uint64_t, FanoutFate>& fanouts) {
  EXPECT_TRUE(std::ranges::is_sorted(found.messages, {}, &StoredMessage::seq));
  std::set<Seq> present;
  for (const StoredMessage& message : found.messages) {
    EXPECT_TRUE(present.insert(message.seq).second) << "a message came twice: " << message.seq;
    const auto known = messages.find(message.seq);
    ASSERT_NE(known, messages.end()) << "unknown message " << message.seq;
    check_present(message, known->second, clean);
  }
  check_counters(found);
  check_due(found);
  bool tail_lost = false;
  for (const auto& [seq, message] : messages) {
    const bool here = present.contains(seq);
    if (!here) check_absent(seq, message, clean);
    if (!message.live_durable()) continue;
    if (message.fanout != 0) {
      FanoutFate& fate = fanouts[message.fanout];
      here ? ++fate.present : ++fate.vanished;
    }
    // Commits of one log are a prefix of its appends.
    EXPECT_FALSE(here && tail_lost) << "message " << seq << " outlived an older one";
    tail_lost = tail_lost || !here;
  }
  check_mark(found, present, clean);
  std::erase_if(messages, [&](const auto& each) { return !present.contains(each.first); });
  take_for_truth(found);
}

inline void LedgerQueue::take_for_truth(const FoundLog& found) {
  for (const StoredMessage& here : found.messages) {
    LedgerMessage& message = messages.at(here.seq);
    message.settled = false;
    message.certain = true;
    message.stored = true;
    message.on_disk_only = true;
    message.fetched = false;
    message.delivered = message.delivered || here.seq <= found.state.delivered_mark;
    message.notes.returns = here.returns;
    message.returns_certain = here.returns;
  }
  due_dropped.clear();
  stored_ranges.clear();
  disk_ranges.clear();
  reading = false;
  reading_due = false;
  fetching = false;
  next = found.state.next;
  delivered_max = found.state.delivered_mark;
  if (found.state.head < found.state.next) disk_ranges[found.state.head] = found.state.next;
}

using LedgerQueues = std::vector<std::unique_ptr<LedgerQueue>>;

inline LedgerQueues copy_of(const LedgerQueues& queues) {
  LedgerQueues out;
  for (const auto& queue : queues) out.push_back(std::make_unique<LedgerQueue>(*queue));
  return out;
}

}  // namespace warren::storage
