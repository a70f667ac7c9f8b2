// SPDX-License-Identifier: Apache-2.0
// What failures, damage, crashes and repeated starts do to a store.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "storage/record/keys.h"

#include "tests/unit/storage/engine/store_driver.h"

namespace warren::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

const CommitToken kToken7{7, 0};
const CommitToken kToken8{8, 0};

// S10: after a failed write nothing is confirmed, and nothing is written.
TEST(Store, NothingIsConfirmedAfterAFailedWrite) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  d.disk->fail_after(0, false);
  log.append(1, block_of("m"), Durability::durable, &kToken7);
  d.settle_down();
  EXPECT_THAT(d.failures, SizeIs(1));
  d.disk->heal();
  log.append(2, block_of("m"), Durability::durable, &kToken8);
  d.settle_down();
  EXPECT_THAT(d.listener().committed, IsEmpty());
  EXPECT_THAT(d.failures, SizeIs(1));
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_FALSE(d.store->close().ok());
}

// S10, across shards: what others handed over is not written either.
TEST(Store, NothingIsWrittenAfterAFailedWrite) {
  StoreOptions options;
  options.shard_count = 2;
  StoreDriver d(options);
  QueueLog& a = new_log(d, 0);
  QueueLog& b = new_log(d, 1);
  d.disk->fail_after(0, false);
  a.append(1, block_of("m"), Durability::durable, &kToken7);
  d.settle_down();
  d.disk->heal();
  b.append(1, block_of("m"), Durability::durable, &kToken8);
  d.settle_down();
  EXPECT_THAT(d.listener(1).committed, IsEmpty());
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
}

// S10: a failed fsync may have written all the same; still nothing is confirmed.
TEST(Store, IndeterminateWriteIsNotConfirmed) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  d.disk->fail_after(0, true);
  log.append(1, block_of("m"), Durability::durable, &kToken7);
  d.settle_down();
  EXPECT_THAT(d.listener().committed, IsEmpty());
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 1u);
  d.disk->heal();
  d.crash();
  EXPECT_EQ(d.store->recovery_report().messages, 1u);
}

// S14: nothing stored is delivered before a mark on disk covers it.
TEST(Store, StoredMessagesWaitForTheMark) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  log.append(1, block_of("m"), Durability::durable, nullptr);
  d.settle_down();
  EXPECT_FALSE(log.may_deliver(1));
  d.settle_down();
  EXPECT_THAT(d.listener().raised, ElementsAre(log.id()));
  EXPECT_TRUE(log.may_deliver(1));
  d.crash();
  EXPECT_GE(reopen_only_log(d).state().delivered_mark, 1u);
}

TEST(Store, CrashAfterACleanStopIsACrash) {
  StoreDriver d;
  d.restart();
  EXPECT_TRUE(d.store->recovery_report().clean_stop);
  d.crash();
  EXPECT_FALSE(d.store->recovery_report().clean_stop);
}

TEST(Store, PurgeReachesTheSpilledMessages) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 6; ++seq) {
    log.append(seq, block_of("m"), seq % 2 == 0 ? Durability::paged : Durability::durable, nullptr);
  }
  d.settle_down();
  log.release(1, 7);
  log.settle_range(1, 7, 3, 3);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::spill), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_EQ(log.state().head, 7u);
}

TEST(Store, CleanStopLeavesTheExactMark) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 3; ++seq) log.append(seq, block_of("m"), Durability::durable, nullptr);
  EXPECT_TRUE(log.may_deliver(1));
  EXPECT_TRUE(log.may_deliver(2));
  d.settle_down();
  d.restart();
  EXPECT_EQ(reopen_only_log(d).state().delivered_mark, 2u);
}

// S1: numbers of logs are never given twice, whatever happens.
TEST(Store, LogIdsAreNeverReused) {
  StoreDriver d;
  LogId last;
  for (int i = 0; i < 4000; ++i) {
    const LogId id = d.store->new_log_id();
    EXPECT_GT(id, last);
    last = id;
    d.settle_down();
    if (i % 1300 == 1299) d.crash();
  }
}

TEST(Store, OrphanLogsAreDropped) {
  StoreDriver d;
  QueueLog& log = d.define_queue("q");
  log.append(1, block_of("m"), Durability::durable, nullptr);
  d.settle_down();
  d.undefine_queue("q", nullptr);
  d.settle_down();
  d.crash();
  EXPECT_EQ(d.store->recovery_report().orphan_logs_dropped, 1u);
  EXPECT_EQ(d.store->recovery_report().logs, 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_state), 0u);
}

// S12: starting again and again, crashed in between, changes nothing.
TEST(Store, RecoveryIsIdempotent) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 6; ++seq) log.append(seq, block_of("m"), Durability::durable, nullptr);
  d.settle_down();
  log.settle(3, 1);
  d.settle_down();
  const auto image = [&] {
    std::vector<std::map<std::string, std::string, std::less<>>> out;
    for (const Family family :
         {Family::definitions, Family::queue_log, Family::queue_acks, Family::queue_state}) {
      out.push_back(d.disk->records(family));
    }
    return out;
  };
  const auto before = image();
  const LogState state = log.state();
  for (int start = 0; start < 3; ++start) {
    d.crash();
    EXPECT_EQ(image(), before);
    const auto states = d.store->take_log_states();
    ASSERT_THAT(states, SizeIs(1));
    EXPECT_EQ(states[0].live_count, state.live_count);
    EXPECT_EQ(states[0].head, state.head);
    EXPECT_EQ(states[0].next, state.next);
  }
}

// R12: whatever a crash left in the spill family is gone before anybody could read it.
TEST(Store, StartEmptiesTheSpill) {
  StoreDriver d;
  KvBatch batch;
  batch.put(Family::spill, "left behind", "x");
  ASSERT_TRUE(d.kv->commit(batch, WriteMode::synced).ok());
  d.crash();
  EXPECT_EQ(d.disk->key_count(Family::spill), 0u);
}

// A crash in the middle of recovery: its one commit happened, or not.
TEST(Store, RecoveryThatFailsCanBeRepeated) {
  auto disk = std::make_shared<MemoryDisk>();
  const auto open = [&] {
    return StoreImpl::open_on(std::make_unique<MemoryStore>(disk), "id", {}, Drive::steps);
  };
  for (const bool applied : {false, true}) {
    disk->fail_after(0, applied);
    EXPECT_FALSE(open().ok());
    disk->heal();
    disk->lose_unsynced();
    EXPECT_TRUE(open().ok());
  }
  EXPECT_FALSE(
      StoreImpl::open_on(std::make_unique<MemoryStore>(disk), "other", {}, Drive::steps).ok());
}

// S7: a damaged chunk is passed over and counted; its neighbours are delivered.
TEST(Store, DamagedChunkIsPassedOver) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 6; seq += 2) {
    log.append(seq, block_of("aaaa"), Durability::durable, nullptr);
    log.append(seq + 1, block_of("aaaa"), Durability::durable, nullptr);
    d.settle_down();
  }
  log.release(1, 7);
  const std::string key = encode_chunk_key({log.id(), 3});
  std::string value = d.disk->records(Family::queue_log).at(key);
  value.back() ^= 0x10;
  ASSERT_TRUE(d.disk->overwrite(Family::queue_log, key, value));
  EXPECT_THAT(d.read_all(log, 1, 7),
              ElementsAre(Pair(1, "aaaa"), Pair(2, "aaaa"), Pair(5, "aaaa"), Pair(6, "aaaa")));
  EXPECT_EQ(d.damaged, 2u);
  for (const Seq seq : {1, 2, 5, 6}) log.settle(seq, 4);
  d.settle_down();
  EXPECT_EQ(log.state().live_count, 0u);
  d.crash();
  EXPECT_EQ(d.store->recovery_report().messages, 0u);
}

// S7: what a chunk held that tells nothing is what is missing in the end.
TEST(Store, DamagedChunkThatTellsNothingIsCountedByWhatIsMissing) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 9; seq += 3) {
    for (Seq each = seq; each < seq + 3; ++each) {
      log.append(each, block_of("aaaa"), Durability::durable, nullptr);
    }
    d.settle_down();
  }
  log.release(1, 10);
  ASSERT_TRUE(d.disk->overwrite(Family::queue_log, encode_chunk_key({log.id(), 4}), "rubbish"));
  EXPECT_THAT(d.read_all(log, 1, 10), SizeIs(6));
  EXPECT_EQ(log.state().live_count, 6u);
  d.settle_down();
  d.crash();
  EXPECT_EQ(d.store->recovery_report().messages, 6u);
}

// Three chunks of one message; the value of the one in `family` at `seq` is damaged.
QueueLog& damaged_log(StoreDriver& d, Family family, Seq seq) {
  QueueLog& log = new_log(d);
  for (Seq each = 1; each <= 3; ++each) {
    log.append(each, block_of("aaaa"), Durability::durable, nullptr);
    d.settle_down();
  }
  log.release(1, 4);
  const std::string key = encode_chunk_key({log.id(), seq});
  std::string value = d.disk->records(family).at(key);
  value.back() ^= 0x10;
  EXPECT_TRUE(d.disk->overwrite(family, key, value));
  return log;
}

// S7, S15: the loss is met again by every start, and counted once.
TEST(Store, StartsDoNotCountALossAgain) {
  StoreDriver d;
  damaged_log(d, Family::queue_log, 2);
  for (int start = 0; start < 5; ++start) {
    start % 2 == 0 ? d.crash() : d.restart();
    QueueLog& log = reopen_only_log(d);
    EXPECT_EQ(log.state().live_count, start == 0 ? 3u : 2u);
    EXPECT_EQ(log.state().estimated, start > 0);
    EXPECT_THAT(d.read_all(log, 1, 4), ElementsAre(Pair(1, "aaaa"), Pair(3, "aaaa")));
    EXPECT_EQ(log.state().live_count, 2u);
    d.settle_down();
  }
}

// S7: a life that ends in the middle of the reading leaves too few: what follows is still read.
TEST(Store, WhatIsCountedTooOftenIsStillFound) {
  StoreDriver d;
  damaged_log(d, Family::queue_log, 2);
  for (int start = 0; start < 6; ++start) {
    d.crash();
    QueueLog& log = reopen_only_log(d);
    EXPECT_EQ(log.state().head, 1u);
    EXPECT_THAT(d.read_all(log, 1, 3), ElementsAre(Pair(1, "aaaa")));
    d.settle_down();
  }
  d.crash();
  EXPECT_THAT(d.read_all(reopen_only_log(d), 1, 4), ElementsAre(Pair(1, "aaaa"), Pair(3, "aaaa")));
}

// S15 does not hold for a log with losses, in no life of it.
TEST(Store, WhatIsLeftOfADamagedLogIsSettledAfterAStart) {
  StoreDriver d;
  damaged_log(d, Family::queue_log, 1);
  d.crash();
  EXPECT_THAT(d.read_all(reopen_only_log(d), 1, 4), SizeIs(2));
  d.settle_down();
  d.crash();
  QueueLog& log = reopen_only_log(d);
  const Seq head = log.state().head;
  EXPECT_THAT(d.read_all(log, head, 4), SizeIs(2));
  for (const Seq seq : {2, 3}) log.settle(seq, 400);  // more than the state says
  d.settle_down();
  EXPECT_EQ(log.state().live_count, 0u);
  EXPECT_EQ(log.state().live_bytes, 0u);
}

// S7: what a damaged ack record says is settled comes again; settling that leaves the rest.
TEST(Store, SettlingWhatCameAgainHidesNothing) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 4; ++seq) log.append(seq, block_of("m"), Durability::durable, nullptr);
  d.settle_down();
  for (const Seq seq : {1, 2, 3}) log.settle(seq, 1);
  d.settle_down();
  const std::string key = encode_chunk_key({log.id(), 1});
  ASSERT_TRUE(d.disk->overwrite(Family::queue_acks, key, "rubbish"));
  d.crash();
  QueueLog& again = reopen_only_log(d);
  EXPECT_EQ(again.state().live_count, 1u);
  EXPECT_THAT(d.read_all(again, 1, 5), SizeIs(4));
  EXPECT_EQ(again.state().live_count, 4u);
  for (const Seq seq : {1, 2, 3}) again.settle(seq, 1);
  d.settle_down();
  d.restart();
  QueueLog& last = reopen_only_log(d);
  EXPECT_EQ(last.state().live_count, 1u);
  EXPECT_THAT(d.read_all(last, last.state().head, 5), ElementsAre(Pair(4, "m")));
}

}  // namespace
}  // namespace warren::storage
