// SPDX-License-Identifier: Apache-2.0
// A message that is durable in several logs is stored once, for as long as one of them needs it.
// Checks: S6, S7.
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "storage/inspect/store_check.h"
#include "storage/record/body_record.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"

#include "tests/unit/storage/engine/store_driver.h"

namespace warren::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

const CommitToken kToken{7, 0};

// Some queues, and what is published to all of them.
class SharedBodiesTest : public ::testing::Test {
 protected:
  static StoreOptions small() {
    StoreOptions options;
    options.shared_bytes_min = 100;
    options.sweep_records_max = 3;
    options.shard_count = 2;
    return options;
  }

  // `text`, in each of `logs`, at `seq`.
  void publish(const std::vector<QueueLog*>& logs, Seq seq, const std::string& text) {
    const BlockRef block = block_of(text);
    const BodyId body = d.shard().share(*block);
    for (QueueLog* const log : logs) {
      log->append(seq, block, Durability::durable, &kToken, {}, body);
    }
  }
  // Two queues with `count` messages each, all shared, all released.
  std::vector<QueueLog*> two_full_queues(Seq count) {
    const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
    for (Seq seq = 1; seq <= count; ++seq) {
      publish(logs, seq, text_);
      d.settle_down();
      for (QueueLog* const log : logs) log->release(seq, seq + 1);
    }
    return logs;
  }
  std::size_t keys(Family family) const { return d.disk->key_count(family); }
  // Of the only body.
  std::uint64_t count() const {
    const auto records = d.disk->records(Family::body_counts);
    EXPECT_EQ(records.size(), 1u);
    return records.empty() ? 0 : decode_body_count(records.begin()->second).value();
  }
  std::uint64_t count_of_all() const {
    std::uint64_t sum = 0;
    for (const auto& [key, value] : d.disk->records(Family::body_counts)) {
      sum += decode_body_count(value).value();
    }
    return sum;
  }
  std::vector<std::string> problems() const { return check_store(*d.kv)->problems; }

  StoreDriver d{small()};
  const std::string text_ = std::string(200, 'b');
};

TEST_F(SharedBodiesTest, AFanoutIsStoredOnce) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d), &new_log(d)};
  publish(logs, 1, text_);
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 1u);
  EXPECT_EQ(count(), 3u);
  for (const auto& [key, chunk] : d.disk->records(Family::queue_log)) {
    EXPECT_LT(chunk.size(), text_.size());
  }
  for (QueueLog* const log : logs) {
    EXPECT_EQ(log->state().live_bytes, text_.size());
    log->release(1, 2);
    EXPECT_THAT(d.read_all(*log, 1, 2), ElementsAre(Pair(1, text_)));
  }
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(SharedBodiesTest, AFanoutOverShardsIsStoredOnce) {
  const std::vector<QueueLog*> logs = {&new_log(d, 0), &new_log(d, 1)};
  publish(logs, 1, text_);
  for (const ShardIndex shard : {0u, 1u}) d.shard(shard).join_fanout(1, 2);
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 1u);
  EXPECT_EQ(count(), 2u);
  EXPECT_THAT(problems(), IsEmpty());
}

// A body is there as long as a chunk refers to it, whoever is the last.
TEST_F(SharedBodiesTest, ABodyGoesWithItsLastReference) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d, 1), &new_log(d)};
  publish(logs, 1, text_);
  for (const ShardIndex shard : {0u, 1u}) d.shard(shard).join_fanout(1, 2);
  d.settle_down();
  logs[1]->settle(1, text_.size());
  d.settle_down();
  EXPECT_EQ(count(), 2u);
  logs[0]->settle(1, text_.size());
  d.settle_down();
  d.crash();
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(keys(Family::queue_shared), 1u);
  EXPECT_THAT(problems(), IsEmpty());
  std::vector<LogState> states = d.store->take_log_states();
  std::erase_if(states, [](const LogState& state) { return state.live_count == 0; });
  ASSERT_EQ(states.size(), 1u);
  EXPECT_TRUE(states[0].has_shared);
  QueueLog& last = d.shard().open_log(states[0]);
  EXPECT_THAT(d.read_all(last, 1, 2), ElementsAre(Pair(1, text_)));
  last.settle(1, text_.size());
  d.settle_down();
  for (const Family family : {Family::bodies, Family::body_counts, Family::queue_shared}) {
    EXPECT_EQ(keys(family), 0u);
  }
}

// A chunk of several messages holds what it refers to until the last of them is settled.
TEST_F(SharedBodiesTest, AChunkReleasesItsReferencesTogether) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
  for (Seq seq = 1; seq <= 3; ++seq) publish(logs, seq, text_);
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 3u);
  EXPECT_EQ(keys(Family::queue_shared), 2u);
  for (Seq seq = 1; seq <= 3; ++seq) logs[0]->settle(seq, text_.size());
  logs[1]->settle(1, text_.size());
  logs[1]->settle(3, text_.size());
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 3u);
  logs[1]->settle(2, text_.size());
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 0u);
}

TEST_F(SharedBodiesTest, WhatIsSettledBeforeTheCommitDoesNotCount) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d), &new_log(d)};
  publish(logs, 1, text_);
  logs[0]->settle(1, text_.size());
  d.settle_down();
  EXPECT_EQ(count(), 2u);
  for (const std::size_t i : {1, 2}) logs[i]->settle(1, text_.size());
  publish(logs, 2, text_);
  for (QueueLog* const log : logs) log->settle(2, text_.size());
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 0u);
  EXPECT_THAT(problems(), IsEmpty());
}

// A chunk that comes and goes in one group of commits brings no body.
TEST_F(SharedBodiesTest, WhatComesAndGoesInOneCommitLeavesNothing) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
  publish(logs, 1, text_);
  d.shard().end_turn(d.now);
  for (QueueLog* const log : logs) log->settle(1, text_.size());
  publish({&new_log(d, 1)}, 1, "small");
  d.settle_down();
  for (const Family family : {Family::bodies, Family::body_counts, Family::queue_shared}) {
    EXPECT_EQ(keys(family), 0u);
  }
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(SharedBodiesTest, SmallAndPagedBlocksStayInTheirLogs) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
  publish(logs, 1, std::string(99, 's'));
  const BlockRef block = block_of(text_);
  const BodyId body = d.shard().share(*block);
  for (QueueLog* const log : logs) log->append(2, block, Durability::paged, nullptr, {}, body);
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 0u);
  EXPECT_EQ(keys(Family::queue_shared), 0u);
  EXPECT_THAT(d.read_all(*logs[0], 3, 3), IsEmpty());
}

// A block that all queues of a shard share is in its bytes once, and a little for each queue, so
// that they are bounded, too.
TEST_F(SharedBodiesTest, UncommittedBytesCountABlockOnce) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d), &new_log(d)};
  const std::string large(100'000, 'b');
  publish(logs, 1, large);
  publish(logs, 2, large);
  const std::uint64_t before = d.shard().uncommitted_bytes();
  EXPECT_GT(before, 2 * large.size());
  EXPECT_LT(before, 2 * large.size() + 4 * 1000);
  logs[1]->settle(1, large.size());
  EXPECT_LT(d.shard().uncommitted_bytes(), before);
  logs[0]->settle(1, large.size());
  EXPECT_LT(d.shard().uncommitted_bytes(), before - large.size());
  d.settle_down();
  EXPECT_EQ(d.shard().uncommitted_bytes(), 0u);
}

TEST_F(SharedBodiesTest, AChunkIsAsLargeAsItsMessages) {
  StoreOptions options = small();
  options.chunk_bytes_max = 500;
  d.store.reset();
  d.options_ = options;
  d.open();
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
  for (Seq seq = 1; seq <= 6; ++seq) publish(logs, seq, text_);
  d.settle_down();
  EXPECT_EQ(keys(Family::queue_log), 6u);
  // A read stops after what it was asked for, wherever that lies.
  logs[0]->release(1, 7);
  Seq next = 0;
  logs[0]->read(1, 7, 2 * text_.size(), [&](const auto& result) { next = result->next; });
  d.settle_down();
  EXPECT_EQ(next, 3u);
}

// S1: no name is given twice, in no life and by no shard.
TEST_F(SharedBodiesTest, NamesAreNeverGivenAgain) {
  const BlockRef block = block_of(text_);
  std::map<BodyId, int> given;
  for (int life = 0; life < 3; ++life) {
    for (const ShardIndex shard : {0u, 1u, 0u}) ++given[d.shard(shard).share(*block)];
    d.crash();
    for (const ShardIndex shard : {0u, 1u}) ++given[d.shard(shard).share(*block)];
    d.restart();
  }
  EXPECT_EQ(given.size(), 15u);
  EXPECT_FALSE(given.contains(BodyId{}));
}

// A purge takes the chunks away at once, and what they refer to step by step.
TEST_F(SharedBodiesTest, APurgedRangeIsSweptInSteps) {
  const auto logs = two_full_queues(10);
  logs[0]->settle_range(1, 11, 10, 10 * text_.size());
  d.now += d.options_.idle_commit_delay * 2;
  d.end_turns();
  d.now += d.options_.idle_commit_delay * 2;
  d.end_turns();
  ASSERT_TRUE(d.store->step_commit());
  EXPECT_EQ(keys(Family::queue_log), 10u);
  for (std::size_t left = 20; left > 10; left = left > 13 ? left - 3 : 10) {
    EXPECT_EQ(keys(Family::queue_shared), left);
    EXPECT_THAT(problems(), IsEmpty());
    EXPECT_TRUE(d.store->step_commit());
  }
  d.settle_down();
  EXPECT_EQ(keys(Family::queue_shared), 10u);
  EXPECT_EQ(keys(Family::bodies), 10u);
  EXPECT_EQ(keys(Family::meta), 1u);
  EXPECT_EQ(d.read_all(*logs[1], 1, 11, SIZE_MAX).size(), 10u);
  EXPECT_FALSE(d.store->step_commit());
}

TEST_F(SharedBodiesTest, ASweepGoesOnAfterACrash) {
  const auto logs = two_full_queues(10);
  for (QueueLog* const log : logs) log->settle_range(1, 11, 10, 10 * text_.size());
  d.now += d.options_.idle_commit_delay * 2;
  d.end_turns();
  d.now += d.options_.idle_commit_delay * 2;
  d.end_turns();
  ASSERT_TRUE(d.store->step_commit());
  ASSERT_TRUE(d.store->step_commit());
  for (int crash = 0; crash < 3; ++crash) {
    const std::size_t left = keys(Family::queue_shared);
    d.crash();
    EXPECT_EQ(keys(Family::queue_shared), left) << "a step was not durable before the next one";
    EXPECT_THAT(problems(), IsEmpty());
    EXPECT_EQ(keys(Family::bodies), 10u);
    ASSERT_TRUE(d.store->step_commit());
    EXPECT_THAT(problems(), IsEmpty());
  }
  d.settle_down();
  for (const Family family : {Family::bodies, Family::body_counts, Family::queue_shared}) {
    EXPECT_EQ(keys(family), 0u);
  }
  d.restart();
  EXPECT_EQ(keys(Family::meta), 1u);
}

TEST_F(SharedBodiesTest, ADroppedQueueReleasesWhatItReferredTo) {
  const auto logs = two_full_queues(5);
  d.shard().drop_log(logs[0]->id());
  d.settle_down();
  EXPECT_EQ(keys(Family::queue_shared), 5u);
  EXPECT_EQ(keys(Family::bodies), 5u);
  EXPECT_EQ(count_of_all(), 5u);
  d.shard().drop_log(logs[1]->id());
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 0u);
}

// S12: what a crash left of a deleted queue goes with the next start, bodies included.
TEST_F(SharedBodiesTest, AnOrphanReleasesWhatItReferredTo) {
  const auto logs = two_full_queues(5);
  const LogId orphan = logs[0]->id();
  QueueDefinition gone;
  for (const auto& [key, value] : d.disk->records(Family::definitions)) {
    const auto definition = decode_definition(key, value);
    const auto& queue = std::get<QueueDefinition>(*definition);
    if (queue.log == orphan) gone = queue;
  }
  d.undefine_queue(gone.name, &kToken);
  d.settle_down();
  d.crash();
  EXPECT_EQ(d.store->recovery_report().orphan_logs_dropped, 1u);
  d.crash();
  EXPECT_EQ(d.store->recovery_report().orphan_logs_dropped, 0u);
  d.settle_down();
  EXPECT_EQ(keys(Family::queue_shared), 5u);
  EXPECT_EQ(keys(Family::bodies), 5u);
  EXPECT_THAT(problems(), IsEmpty());
}

// S7: a message whose body is lost is passed over and counted; the others of its chunk come.
TEST_F(SharedBodiesTest, ALostBodyCountsAsDamage) {
  for (const bool cut : {false, true}) {
    const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
    publish(logs, 1, text_);
    logs[0]->append(2, block_of("own"), Durability::durable, nullptr);
    d.settle_down();
    std::string value = d.disk->records(Family::bodies).begin()->second;
    const std::string key = d.disk->records(Family::bodies).begin()->first;
    if (cut) {
      value = encode_body("another");
    } else {
      value.back() ^= 0x10;
    }
    ASSERT_TRUE(d.disk->overwrite(Family::bodies, key, value));
    for (QueueLog* const log : logs) log->release(1, log->state().next);
    EXPECT_THAT(d.read_all(*logs[0], 1, 3), ElementsAre(Pair(2, "own")));
    EXPECT_EQ(d.damaged, 1u);
    EXPECT_EQ(logs[0]->state().live_count, 1u);
    EXPECT_EQ(logs[0]->state().live_bytes, 3u);
    EXPECT_THAT(d.read_all(*logs[1], 1, 2), IsEmpty());
    EXPECT_EQ(d.damaged, 1u);
    logs[0]->settle(2, 3);
    d.settle_down();
    for (QueueLog* const log : logs) {
      EXPECT_EQ(log->state().live_count, 0u);
      d.shard().drop_log(log->id());
    }
    d.settle_down();
    EXPECT_EQ(keys(Family::bodies), 0u);
  }
}

// S7: what was fetched out of its turn of the same chunk before does not keep the lost one alive.
TEST_F(SharedBodiesTest, ALostBodyBesideAFetchedMessageIsPassedOver) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d)};
  publish(logs, 1, text_);
  MessageNotes due;
  due.due_ms = 7;
  for (const Seq seq : {2, 3}) {
    logs[0]->append(seq, block_of("own"), Durability::durable, nullptr, due);
  }
  d.settle_down();
  const auto body = *d.disk->records(Family::bodies).begin();
  ASSERT_TRUE(d.disk->overwrite(Family::bodies, body.first, encode_body("another")));
  logs[0]->release(1, 4);
  logs[0]->fetch({{7, 2, 1}}, [&](Result<std::vector<StoredMessage>> result) {
    ASSERT_TRUE(result.ok());
    ASSERT_THAT(*result, SizeIs(1));
    logs[0]->settle(2, 3, due);
  });
  ASSERT_TRUE(d.store->step_read());
  d.executor().run_all();
  EXPECT_THAT(d.read_all(*logs[0], 1, 4), ElementsAre(Pair(3, "own")));
  EXPECT_EQ(d.damaged, 1u);
  logs[0]->settle(3, 3, due);
  d.settle_down();
  EXPECT_EQ(logs[0]->state().head, 4u);
  EXPECT_EQ(logs[0]->state().live_count, 0u);
}

// What is settled while it is read is no loss, though its body may be gone by then.
TEST_F(SharedBodiesTest, ABodyThatGoesDuringAReadIsNoDamage) {
  const auto logs = two_full_queues(2);
  for (const auto& [key, value] : d.disk->records(Family::bodies)) {
    ASSERT_TRUE(d.disk->overwrite(Family::bodies, key, "gone"));
  }
  std::uint64_t damaged = 99;
  logs[0]->read(1, 3, SIZE_MAX, [&](const auto& result) { damaged = result->damaged; });
  logs[0]->settle_range(1, 3, 2, 2 * text_.size());
  ASSERT_TRUE(d.store->step_read());
  d.executor().run_all();
  EXPECT_EQ(damaged, 0u);
  EXPECT_EQ(logs[0]->state().live_count, 0u);
}

// Space is worth less than a message: a count that cannot be right erases nothing.
TEST_F(SharedBodiesTest, AWrongCountErasesNothing) {
  const std::vector<QueueLog*> logs = {&new_log(d), &new_log(d), &new_log(d)};
  publish(logs, 1, text_);
  d.settle_down();
  const std::string key = d.disk->records(Family::body_counts).begin()->first;
  ASSERT_TRUE(d.disk->overwrite(Family::body_counts, key, encode_body_count(1)));
  logs[0]->settle(1, text_.size());
  logs[1]->settle(1, text_.size());
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 1u);
  ASSERT_TRUE(d.disk->overwrite(Family::body_counts, key, "damaged"));
  logs[2]->settle(1, text_.size());
  d.settle_down();
  EXPECT_EQ(keys(Family::bodies), 1u);
  EXPECT_THAT(d.failures, IsEmpty());
}

// S10: a store that failed sweeps no more.
TEST_F(SharedBodiesTest, NothingIsSweptAfterAFailure) {
  const auto logs = two_full_queues(5);
  logs[0]->settle_range(1, 6, 5, 5 * text_.size());
  d.now += d.options_.idle_commit_delay * 2;
  d.end_turns();
  d.now += d.options_.idle_commit_delay * 2;
  d.end_turns();
  ASSERT_TRUE(d.store->step_commit());
  d.disk->fail_after(0, false);
  ASSERT_TRUE(d.store->step_commit());
  EXPECT_EQ(d.failures.size(), 1u);
  d.disk->heal();
  EXPECT_FALSE(d.store->step_commit());
  EXPECT_EQ(keys(Family::queue_shared), 10u);
}

}  // namespace
}  // namespace warren::storage
