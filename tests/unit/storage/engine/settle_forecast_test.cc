// SPDX-License-Identifier: Apache-2.0
// A commit is put off while the consumers of its messages settle them at once, and only then.
#include <gmock/gmock.h>

#include "tests/unit/storage/engine/store_driver.h"

namespace warren::storage {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SettleForecasts : public ::testing::Test {
 protected:
  void append() { log_.append(next_++, block_of("m"), Durability::durable, &kToken); }
  void settle_last() { log_.settle(next_ - 1, 1); }
  void commit_all() {
    while (d_.store->step_commit()) {
    }
    d_.executor().run_all();
  }
  // A message that is committed, and settled that long after.
  void sample(Duration delay) {
    append();
    d_.end_turns();
    commit_all();
    d_.now += delay;
    settle_last();
    d_.end_turns();
    d_.now += 10ms;  // what that left goes with the idle delay
    d_.end_turns();
    commit_all();
    d_.listener().committed.clear();
  }
  void earn(int samples = 4) {
    for (int i = 0; i < samples; ++i) sample(100us);
  }
  // Was the commit of a message asked for at once?
  bool is_put_off() {
    append();
    d_.end_turns();
    return !d_.store->step_commit();
  }

  static constexpr CommitToken kToken{7, 0};
  StoreDriver d_;
  QueueLog& log_ = d_.define_queue("q");
  Seq next_ = 1;
};

TEST_F(SettleForecasts, NobodyWaitsAtFirst) {
  d_.settle_down();
  EXPECT_FALSE(is_put_off());
}

// The confirm comes with the settlement, and the disk is not touched.
TEST_F(SettleForecasts, WhatIsSettledAtOnceNeedsNoCommit) {
  d_.settle_down();
  earn();
  const std::size_t commits = d_.disk->commits();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(is_put_off());
    d_.now += 100us;
    d_.end_turns();
    EXPECT_THAT(d_.listener().committed, IsEmpty());
    settle_last();
    d_.end_turns();
    EXPECT_THAT(d_.listener().committed, ElementsAre(7));
    d_.listener().committed.clear();
  }
  commit_all();
  EXPECT_EQ(d_.disk->commits(), commits);
}

// The store says when to come again, makes the commit then, and remembers that it was late.
TEST_F(SettleForecasts, WaitIsBoundedAndHasToBeEarnedAgain) {
  d_.settle_down();
  earn();
  ASSERT_TRUE(is_put_off());
  const Instant limit = d_.now + SettleForecast::kPatience;
  EXPECT_EQ(d_.deadline, limit);
  d_.now = limit;
  d_.end_turns();
  commit_all();
  EXPECT_THAT(d_.listener().committed, ElementsAre(7));
  settle_last();
  earn(6);
  EXPECT_FALSE(is_put_off());
  commit_all();
  settle_last();
  d_.end_turns();
  EXPECT_TRUE(is_put_off());
}

// A stream of messages, each settled in time, does not hide one that is not.
TEST_F(SettleForecasts, OneThatStaysIsCommittedAmongOthersThatGo) {
  d_.settle_down();
  earn();
  append();
  const Seq stays = next_ - 1;
  for (Duration waited = 0us; waited < 2 * SettleForecast::kPatience; waited += 100us) {
    append();
    d_.end_turns();
    settle_last();
    d_.now += 100us;
  }
  d_.end_turns();
  commit_all();
  EXPECT_EQ(d_.disk->key_count(Family::queue_log), 1u);
  log_.settle(stays, 1);
}

TEST_F(SettleForecasts, SlowConsumersAreNotWaitedFor) {
  d_.settle_down();
  for (int i = 0; i < 20; ++i) sample(1ms);
  EXPECT_FALSE(is_put_off());
}

// A slow log's commit takes the others along.
TEST_F(SettleForecasts, WhoeverWaitsForTheDiskDoesNotWaitForOthers) {
  QueueLog& slow = d_.define_queue("slow");
  d_.settle_down();
  earn();
  ASSERT_TRUE(is_put_off());
  slow.append(1, block_of("s"), Durability::durable, &kToken);
  d_.end_turns();
  EXPECT_TRUE(d_.store->step_commit());
}

// What else asks for a commit gets it.
TEST_F(SettleForecasts, ABarrierDoesNotWait) {
  d_.settle_down();
  earn();
  ASSERT_TRUE(is_put_off());
  d_.shard().barrier(kToken);
  d_.end_turns();
  EXPECT_TRUE(d_.store->step_commit());
}

}  // namespace
}  // namespace warren::storage
