// SPDX-License-Identifier: Apache-2.0
// What is known from outside about every message of a store, with pending states: the oracle of the
// random workload. After a crash an unfinished step may have happened or not, never half.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
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
  bool certain = false;         // its commit was reported: it must survive a crash
  bool stored = false;          // on_stored covered it, or it came from the disk
  bool on_disk_only = false;    // released, or not read yet
  bool settled = false;         // asked to go
  bool settle_certain = false;  // a barrier behind the settle came back
  bool delivered = false;       // in this life

  bool live_durable() const { return !settled && durability == Durability::durable; }
};

// How the parts of one fan-out fared in a crash.
struct FanoutFate {
  int present = 0;
  int vanished = 0;  // not there though nobody settled them
};

struct LedgerQueue {
  enum class Stage { declared, usable, dropping };

  std::string name;
  unsigned shard = 0;
  QueueLog* log = nullptr;
  LogId id;
  Stage stage = Stage::declared;
  Seq next = 1;
  std::map<Seq, LedgerMessage> messages;           // settled ones stay until the next start
  std::vector<std::pair<Seq, Seq>> stored_ranges;  // from on_stored, not released yet
  std::map<Seq, Seq> disk_ranges;                  // [from, to): to be read again
  bool reading = false;
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

  // Compares what a start found with what may and must be there, and takes it for the truth.
  void check_recovered(const std::vector<std::pair<Seq, std::string>>& found, const LogState& state,
                       bool clean, std::map<std::uint64_t, FanoutFate>& fanouts);

 private:
  static void check_absent(Seq seq, const LedgerMessage& message, bool clean);
};

inline void LedgerQueue::check_absent(Seq seq, const LedgerMessage& message, bool clean) {
  if (message.durability == Durability::paged || message.settled) return;
  EXPECT_FALSE(message.certain) << "confirmed message lost: " << seq;
  EXPECT_FALSE(clean) << "clean stop lost message " << seq;
}

inline void LedgerQueue::check_recovered(const std::vector<std::pair<Seq, std::string>>& found,
                                         const LogState& state, bool clean,
                                         std::map<std::uint64_t, FanoutFate>& fanouts) {
  std::map<Seq, std::string> present(found.begin(), found.end());
  EXPECT_EQ(present.size(), found.size()) << "a message came twice";
  EXPECT_TRUE(std::ranges::is_sorted(found));
  EXPECT_EQ(state.live_count, found.size());
  std::uint64_t bytes = 0;
  bool tail_lost = false;
  for (const auto& [seq, body] : present) {
    bytes += body.size();
    const auto known = messages.find(seq);
    ASSERT_NE(known, messages.end()) << "unknown message " << seq;
    const LedgerMessage& message = known->second;
    EXPECT_EQ(message.body, body);
    EXPECT_EQ(message.durability, Durability::durable) << "paged message survived: " << seq;
    EXPECT_FALSE(message.settle_certain) << "settled message is back: " << seq;
    EXPECT_FALSE(clean && message.settled) << "clean stop forgot a settle of " << seq;
  }
  EXPECT_EQ(state.live_bytes, bytes);
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
  // S14
  Seq delivered_present = 0;
  for (const auto& [seq, message] : messages) {
    if (message.delivered && present.contains(seq)) delivered_present = seq;
  }
  EXPECT_GE(state.delivered_mark, delivered_present) << "delivered and not flagged";
  if (clean) {
    EXPECT_LE(state.delivered_mark, delivered_max);
    EXPECT_TRUE(!ever_stored || state.delivered_mark == delivered_max);
  }

  std::erase_if(messages, [&](const auto& each) { return !present.contains(each.first); });
  for (auto& [seq, message] : messages) {
    message.settled = false;
    message.certain = true;
    message.stored = true;
    message.on_disk_only = true;
    message.delivered = message.delivered || seq <= state.delivered_mark;
  }
  stored_ranges.clear();
  disk_ranges.clear();
  reading = false;
  next = state.next;
  delivered_max = state.delivered_mark;
  if (state.head < state.next) disk_ranges[state.head] = state.next;
}

}  // namespace warren::storage
