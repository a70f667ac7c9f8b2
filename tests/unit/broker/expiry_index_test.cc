// SPDX-License-Identifier: Apache-2.0
// Which messages are indexed, and that no entry is lost between memory and disk (B9), against a
// model that keeps everything.
#include "server/broker/queue/expiry_index.h"

#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace warren::broker {
namespace {

using storage::DueEntry;

ReadyMessage message(Seq seq, std::int64_t deadline_ms, Kept kept = Kept::durable) {
  ReadyMessage message;
  message.seq = seq;
  message.deadline_ms = deadline_ms;
  message.kept = kept;
  message.indexed = true;
  return message;
}

TEST(ExpiryIndex, OnlyWhatExpiresBeforeItsTurnIsIndexed) {
  ExpiryIndex index;
  index.on_empty();
  EXPECT_FALSE(index.wants(1000));
  EXPECT_FALSE(index.wants(1000));
  EXPECT_FALSE(index.wants(2000));
  EXPECT_FALSE(index.wants(2000 - ExpiryIndex::kToleranceMs));
  EXPECT_TRUE(index.wants(1999 - ExpiryIndex::kToleranceMs));
  EXPECT_FALSE(index.wants(kNoDeadline));
  EXPECT_TRUE(index.wants(5000));
  index.on_empty();
  EXPECT_FALSE(index.wants(5000));
}

// 200,000 messages of any deadlines, a hundred at a time while the clock goes on: what is due comes
// out in order, each once; memory holds a bounded part of the rest.
TEST(ExpiryIndex, NothingIsLostBetweenMemoryAndDisk) {
  std::mt19937_64 random(3);
  ExpiryIndex index;
  index.index_all();
  std::set<std::pair<std::int64_t, Seq>> disk;  // all that is stored and not gone
  std::vector<ReadyMessage> unstored;
  std::int64_t now = 0;
  Seq seq = 0;
  std::uint64_t out = 0;
  std::size_t most = 0;
  const auto refill = [&] {
    while (index.wants_refill()) {
      const DueEntry after = index.begin_refill();
      std::vector<DueEntry> found;
      auto at = disk.upper_bound({after.due_ms, after.seq});
      for (; at != disk.end() && found.size() < ExpiryIndex::kRefill; ++at) {
        found.push_back({at->first, at->second, 1});
      }
      index.refill(found, found.size() < ExpiryIndex::kRefill);
    }
  };
  for (int round = 0; round < 2000; ++round) {
    for (int i = 0; i < 100; ++i) {
      const auto deadline = now + 1 + static_cast<std::int64_t>(random() % 200'000);
      index.add(message(++seq, deadline));
      unstored.push_back(message(seq, deadline));
    }
    if (random() % 3 != 0) {
      for (const ReadyMessage& one : unstored) disk.emplace(one.deadline_ms, one.seq);
      unstored.clear();
      index.on_stored(seq);
    }
    most = std::max(most, index.size());
    now += static_cast<std::int64_t>(random() % 200);
    refill();
    std::int64_t last = 0;
    while (true) {
      const std::vector<DueEntry> due = index.take_due(now, 64);
      if (due.empty()) break;
      for (const DueEntry& entry : due) {
        ASSERT_LE(entry.due_ms, now);
        ASSERT_GE(entry.due_ms, last);
        last = entry.due_ms;
        ++out;
        disk.erase({entry.due_ms, entry.seq});
        std::erase_if(unstored, [&](const ReadyMessage& one) { return one.seq == entry.seq; });
      }
      refill();
    }
    if (!disk.empty()) {
      ASSERT_GT(disk.begin()->first, now) << "left behind in round " << round;
    }
  }
  EXPECT_EQ(out + disk.size() + unstored.size(), seq);
  EXPECT_LT(most, ExpiryIndex::kEntriesMax + 1000);
}

// An entry that has to be looked for while the disk is being asked may have come there just behind
// the reader: it is asked for once more.
TEST(ExpiryIndex, WhatIsWantedDuringARefillIsNotForgotten) {
  for (const std::int64_t due : {50, 150}) {
    ExpiryIndex index;
    index.index_all();
    index.look_again({100, 2, 0});
    ASSERT_TRUE(index.wants_refill());
    index.begin_refill();
    index.look_again({due, 1, 0});
    index.refill({{100, 2, 2}}, true);
    ASSERT_TRUE(index.wants_refill());
    EXPECT_LT(index.begin_refill(), (DueEntry{due, 1, 0}));
    index.refill({{due, 1, 1}}, true);
    EXPECT_FALSE(index.wants_refill());
    EXPECT_EQ(index.take_due(300, 10).size(), 2U);
  }
}

}  // namespace
}  // namespace warren::broker
