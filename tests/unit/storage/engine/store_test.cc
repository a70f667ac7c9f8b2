// SPDX-License-Identifier: Apache-2.0
#include <chrono>

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

TEST(Store, CreatesThenRecoversNothing) {
  StoreDriver d;
  EXPECT_TRUE(d.store->recovery_report().created);
  d.restart();
  EXPECT_FALSE(d.store->recovery_report().created);
  EXPECT_TRUE(d.store->recovery_report().clean_stop);
  EXPECT_THAT(d.store->take_definitions(), IsEmpty());
}

// S3: the token of a durable message comes back only after the commit.
TEST(Store, TokenComesBackAfterTheSync) {
  StoreDriver d;
  QueueLog& log = d.define_queue("q");
  d.settle_down();
  log.append(1, block_of("one"), Durability::durable, &kToken7);
  d.end_turns();
  EXPECT_THAT(d.listener().committed, IsEmpty());
  EXPECT_TRUE(d.store->step_commit());
  EXPECT_THAT(d.listener().committed, IsEmpty());
  d.executor().run_all();
  EXPECT_THAT(d.listener().committed, ElementsAre(7));
  ASSERT_THAT(d.listener().stored, SizeIs(1));
  EXPECT_EQ(d.listener().stored[0].first, 1u);
  EXPECT_EQ(d.shard().uncommitted_bytes(), 0u);
}

TEST(Store, CommittedMessagesComeBackAfterACrash) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 5; ++seq) {
    log.append(seq, block_of("m" + std::to_string(seq)), Durability::durable, &kToken7);
  }
  d.settle_down();
  log.append(6, block_of("lost"), Durability::durable, &kToken8);
  d.crash();
  EXPECT_FALSE(d.store->recovery_report().clean_stop);
  EXPECT_EQ(d.store->recovery_report().messages, 5u);
  QueueLog& again = reopen_only_log(d);
  EXPECT_EQ(again.state().next, 6u);
  EXPECT_EQ(again.state().live_count, 5u);
  EXPECT_EQ(again.state().live_bytes, 10u);
  EXPECT_THAT(
      d.read_all(again, again.state().head, again.state().next),
      ElementsAre(Pair(1, "m1"), Pair(2, "m2"), Pair(3, "m3"), Pair(4, "m4"), Pair(5, "m5")));
}

// A message settled before its commit never reaches the disk, and its token comes back at once,
// but never inside the call.
TEST(Store, SettledBeforeTheCommitCostsNothing) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  const std::size_t commits = d.disk->commits();
  log.append(1, block_of("one"), Durability::durable, &kToken7);
  EXPECT_EQ(d.shard().uncommitted_bytes(), 3u);
  log.settle(1, 3);
  EXPECT_EQ(d.shard().uncommitted_bytes(), 0u);
  EXPECT_THAT(d.listener().committed, IsEmpty());
  d.end_turns();
  EXPECT_THAT(d.listener().committed, ElementsAre(7));
  d.settle_down();
  EXPECT_EQ(d.disk->commits(), commits);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_state), 0u);
  EXPECT_THAT(d.listener().stored, IsEmpty());
}

// S5: a chunk goes when all of it is settled, and not before.
TEST(Store, ChunkGoesWithItsLastMessage) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 3; ++seq) log.append(seq, block_of("m"), Durability::durable, &kToken7);
  d.settle_down();
  log.settle(2, 1);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 1u);
  EXPECT_EQ(d.disk->key_count(Family::queue_acks), 1u);
  log.settle(1, 1);
  log.settle(3, 1);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 1u);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_acks), 0u);
  EXPECT_EQ(log.state().head, 4u);
  EXPECT_EQ(log.state().live_count, 0u);
}

TEST(Store, PartlySettledChunkComesBackWithoutTheSettled) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 4; ++seq) {
    log.append(seq, block_of(std::to_string(seq)), Durability::durable, &kToken7);
  }
  d.settle_down();
  log.settle(2, 1);
  log.settle(4, 1);
  d.settle_down();
  d.crash();
  QueueLog& again = reopen_only_log(d);
  EXPECT_EQ(again.state().live_count, 2u);
  EXPECT_THAT(d.read_all(again, 1, 5), ElementsAre(Pair(1, "1"), Pair(3, "3")));
  again.settle(1, 1);
  again.settle(3, 1);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_acks), 0u);
}

TEST(Store, ReleasedMessagesAreReadAgain) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq first = 1; first <= 21; first += 10) {
    for (Seq seq = first; seq < first + 10; ++seq) {
      log.append(seq, block_of("m"), Durability::durable, &kToken7);
    }
    d.settle_down();
  }
  log.release(11, 31);
  EXPECT_EQ(log.state().head, 1u);
  for (Seq seq = 1; seq <= 10; ++seq) log.settle(seq, 1);
  EXPECT_EQ(log.state().head, 11u);
  EXPECT_THAT(d.read_all(log, 11, 21), SizeIs(10));
  for (Seq seq = 11; seq <= 20; ++seq) log.settle(seq, 1);
  log.settle_range(21, 31, 10, 10);
  EXPECT_EQ(log.state().head, 31u);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  EXPECT_EQ(log.state().live_count, 0u);
}

// One read covers whole chunks; `next` goes on where it stopped.
TEST(Store, ReadStopsBetweenChunks) {
  StoreOptions options;
  options.chunk_bytes_max = 40;
  StoreDriver d(options);
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 10; ++seq) {
    log.append(seq, block_of("0123456789"), Durability::durable, &kToken7);
  }
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 5u);
  log.release(1, 11);
  Seq next = 0;
  log.read(1, 11, 1, [&](Result<ReadResult> result) {
    ASSERT_TRUE(result.ok());
    EXPECT_THAT(result->messages, SizeIs(2));
    next = result->next;
  });
  d.settle_down();
  EXPECT_EQ(next, 3u);
  EXPECT_THAT(d.read_all(log, next, 11, 1000), SizeIs(8));
}

// Transient and durable messages of one queue interleave; reading gives both in order.
TEST(Store, SpilledAndDurableMessagesMerge) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= 8; ++seq) {
    log.append(seq, block_of(std::to_string(seq)),
               seq % 2 == 0 ? Durability::paged : Durability::durable, nullptr);
  }
  d.settle_down();
  for (Seq seq = 9; seq <= 10; ++seq) {
    log.append(seq, block_of("x"), Durability::paged, nullptr);
  }
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::spill), 2u);
  EXPECT_EQ(log.state().live_count, 4u);
  log.release(1, 11);
  const auto read = d.read_all(log, 1, 11, 1);
  ASSERT_THAT(read, SizeIs(10));
  for (Seq seq = 1; seq <= 10; ++seq) EXPECT_EQ(read[seq - 1].first, seq);
  for (Seq seq = 1; seq <= 10; ++seq) log.settle(seq, 1);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::spill), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
}

// R12: paged messages never survive a restart, durable ones do.
TEST(Store, PagedMessagesAreGoneAfterARestart) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  log.append(1, block_of("p"), Durability::paged, nullptr);
  log.append(2, block_of("d"), Durability::durable, nullptr);
  d.settle_down();
  d.restart();
  QueueLog& again = reopen_only_log(d);
  EXPECT_EQ(again.state().live_count, 1u);
  EXPECT_THAT(d.read_all(again, again.state().head, again.state().next), ElementsAre(Pair(2, "d")));
  EXPECT_EQ(d.disk->key_count(Family::spill), 0u);
}

// A queue that never got a durable message writes nothing, not even when it goes.
TEST(Store, TransientQueueLeavesNoTrace) {
  StoreDriver d;
  new_log(d);
  const std::size_t commits = d.disk->commits();
  LogState state;
  state.id = d.store->new_log_id();
  QueueLog& log = d.shard().open_log(state);
  log.append(1, block_of("p"), Durability::paged, nullptr);
  d.settle_down();
  EXPECT_TRUE(log.may_deliver(1));
  EXPECT_EQ(d.disk->key_count(Family::spill), 1u);
  d.shard().drop_log(state.id);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::spill), 0u);
  EXPECT_EQ(d.disk->commits(), commits);
}

TEST(Store, DropDeletesEverythingOfTheLogAlone) {
  StoreDriver d;
  QueueLog& kept = new_log(d);
  QueueLog& dropped = new_log(d);
  const LogId id = dropped.id();
  for (Seq seq = 1; seq <= 4; ++seq) {
    kept.append(seq, block_of("k"), Durability::durable, nullptr);
    dropped.append(seq, block_of("d"), Durability::durable, nullptr);
  }
  d.settle_down();
  dropped.settle(2, 1);
  d.settle_down();
  dropped.append(5, block_of("d"), Durability::durable, &kToken7);
  bool answered = false;
  dropped.release(1, 1);
  d.shard().drop_log(id);
  EXPECT_THAT(d.listener().committed, IsEmpty());
  d.settle_down();
  EXPECT_THAT(d.listener().committed, ElementsAre(7));
  EXPECT_FALSE(answered);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 1u);
  EXPECT_EQ(d.disk->key_count(Family::queue_acks), 0u);
  EXPECT_EQ(d.disk->key_count(Family::queue_state), 1u);
  EXPECT_THAT(d.read_all(kept, 1, 1), IsEmpty());
}

TEST(Store, ReadOfADroppedLogIsNotAnswered) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  log.append(1, block_of("d"), Durability::durable, nullptr);
  d.settle_down();
  log.release(1, 2);
  bool answered = false;
  log.read(1, 2, 1, [&](Result<ReadResult>) { answered = true; });
  d.shard().drop_log(log.id());
  d.settle_down();
  EXPECT_FALSE(answered);
}

// S8: the token of a definition comes back once it is durable; removal is durable likewise.
TEST(Store, DefinitionsAreDurableBeforeTheirToken) {
  StoreDriver d;
  ExchangeDefinition exchange;
  exchange.vhost = "/";
  exchange.name = "e";
  exchange.type = "topic";
  d.shard().change_definitions({{DefinitionChange::Kind::put, VhostDefinition{"/"}},
                                {DefinitionChange::Kind::put, exchange}},
                               &kToken7);
  d.end_turns();
  d.executor().run_all();
  EXPECT_THAT(d.listener().committed, IsEmpty());
  d.store->step_commit();
  d.executor().run_all();
  EXPECT_THAT(d.listener().committed, ElementsAre(7));
  d.crash();
  EXPECT_THAT(d.store->take_definitions(), SizeIs(2));
  d.shard().change_definitions({{DefinitionChange::Kind::remove, exchange}}, &kToken8);
  d.settle_down();
  EXPECT_THAT(d.listener().committed, ElementsAre(8));
  d.crash();
  EXPECT_THAT(d.store->take_definitions(), SizeIs(1));
}

TEST(Store, BarrierWaitsForWhatWasSaid) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  d.shard().barrier(kToken7);
  EXPECT_THAT(d.listener().committed, IsEmpty());
  d.end_turns();
  EXPECT_THAT(d.listener().committed, ElementsAre(7));
  log.append(1, block_of("m"), Durability::durable, nullptr);
  d.end_turns();
  d.now += d.options_.idle_commit_delay;
  d.end_turns();  // handed over, in flight
  d.shard().barrier(kToken8);
  d.end_turns();
  EXPECT_THAT(d.listener().committed, ElementsAre(7));
  d.settle_down();
  EXPECT_THAT(d.listener().committed, ElementsAre(7, 8));
}

TEST(Store, LazyChangesWaitForTheIdleDelay) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  const std::size_t commits = d.disk->commits();
  log.append(1, block_of("m"), Durability::durable, nullptr);
  EXPECT_EQ(d.shard().end_turn(d.now), d.now + d.options_.idle_commit_delay);
  EXPECT_FALSE(d.store->step_commit());
  d.now += d.options_.idle_commit_delay;
  EXPECT_EQ(d.shard().end_turn(d.now), Instant::max());
  EXPECT_TRUE(d.store->step_commit());
  EXPECT_EQ(d.disk->commits(), commits + 1);
}

// What is kept through a reset keeps its entry, also when it leaves memory before the reset is
// handed over.
TEST(Store, DueTimesOfReleasedMessagesOutliveAReset) {
  StoreDriver d;
  QueueLog& log = new_log(d);
  MessageNotes notes;
  notes.due_ms = 7;
  log.append(1, block_of("m"), Durability::durable, nullptr, notes);
  d.settle_down();
  log.reset_due({{7, 1, 0}});
  log.release(1, 2);
  d.settle_down();
  EXPECT_EQ(d.disk->key_count(Family::queue_due), 1u);
}

constexpr std::int64_t kDue = 1000;

MessageNotes due_notes() {
  MessageNotes notes;
  notes.due_ms = kDue;
  return notes;
}

// Messages 1 to `count`, on disk alone.
QueueLog& log_of_released(StoreDriver& d, Seq count, const MessageNotes& notes) {
  QueueLog& log = new_log(d);
  for (Seq seq = 1; seq <= count; ++seq) {
    log.append(seq, block_of("m"), Durability::durable, nullptr, notes);
  }
  d.settle_down();
  log.release(1, count + 1);
  return log;
}

// A read of the stretch's end was answered, and what it gave settled, while a fetch of the same
// message had seen the disk of before: it is not given again (S16).
TEST(Store, WhatWasReadMeanwhileIsNotFetched) {
  StoreOptions options;
  options.chunk_bytes_max = 1;
  StoreDriver d(options);
  const MessageNotes notes = due_notes();
  QueueLog& log = log_of_released(d, 2, notes);
  log.read(2, 3, 1, [&](Result<ReadResult> result) {
    ASSERT_TRUE(result.ok());
    ASSERT_THAT(result->messages, SizeIs(1));
    log.settle(2, 1, notes);
  });
  bool answered = false;
  log.fetch({{kDue, 2, 2}}, [&](Result<std::vector<StoredMessage>> result) {
    answered = true;
    ASSERT_TRUE(result.ok());
    EXPECT_THAT(*result, IsEmpty());
  });
  d.store->step_read();
  d.store->step_read();
  d.executor().run_all();
  EXPECT_TRUE(answered);
  d.settle_down();
  EXPECT_EQ(log.state().live_count, 1u);
}

// A fetch that saw the disk of before a commit is answered after it: what that commit settled stays
// settled, however many chunks are remembered (S16).
TEST(Store, WhatWasSettledWhileAFetchRanStaysSettled) {
  StoreOptions options;
  options.fetched_chunks_max = 1;
  StoreDriver d(options);
  const MessageNotes notes = due_notes();
  QueueLog& log = log_of_released(d, 3, notes);
  const auto fetch = [&](Seq seq, std::size_t count) {
    log.fetch({{kDue, seq, 1}}, [&log, notes, count](Result<std::vector<StoredMessage>> result) {
      ASSERT_TRUE(result.ok());
      ASSERT_THAT(*result, SizeIs(count));
      for (const StoredMessage& message : *result) log.settle(message.seq, 1, notes);
    });
  };
  fetch(1, 1);
  ASSERT_TRUE(d.store->step_read());
  d.executor().run_all();
  fetch(2, 1);
  ASSERT_TRUE(d.store->begin_read());  // sees 1 alive
  d.now += d.options_.idle_commit_delay;
  d.end_turns();
  d.now += d.options_.idle_commit_delay;
  d.end_turns();
  ASSERT_TRUE(d.store->step_commit());
  d.executor().run_all();
  ASSERT_TRUE(d.store->end_read());
  d.executor().run_all();
  fetch(1, 0);  // an entry that the index told before the commit
  d.settle_down();
  EXPECT_EQ(log.state().live_count, 1u);
  d.crash();
  EXPECT_EQ(d.store->recovery_report().messages, 1u);
  EXPECT_THAT(d.read_all(reopen_only_log(d), 1, 4), ElementsAre(Pair(3, "m")));
}

// S4: a fan-out is in the store whole or not at all.
TEST(Store, FanoutWaitsForAllItsParts) {
  StoreOptions options;
  options.shard_count = 2;
  StoreDriver d(options);
  QueueLog& a = new_log(d, 0);
  QueueLog& b = new_log(d, 1);
  a.append(1, block_of("f"), Durability::durable, &kToken7);
  d.shard(0).join_fanout(99, 2);
  d.end_turns();
  EXPECT_FALSE(d.store->step_commit());
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
  b.append(1, block_of("f"), Durability::durable, &kToken8);
  d.shard(1).join_fanout(99, 2);
  d.end_turns();
  EXPECT_TRUE(d.store->step_commit());
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 2u);
  d.settle_down();
  EXPECT_THAT(d.listener(0).committed, ElementsAre(7));
  EXPECT_THAT(d.listener(1).committed, ElementsAre(8));
}

// S4: the store is closed when one shard has joined and the other one has not yet.
TEST(Store, WhatIsHeldAtTheEndIsNotCommittedWithoutItsOtherParts) {
  StoreOptions options;
  options.shard_count = 2;
  StoreDriver d(options);
  QueueLog& a = new_log(d, 0);
  QueueLog& b = new_log(d, 1);
  a.append(1, block_of("f"), Durability::durable, &kToken7);
  d.shard(0).join_fanout(99, 2);
  d.end_turns();
  b.append(1, block_of("f"), Durability::durable, &kToken8);
  d.shard(1).hold(true);
  d.end_turns();
  d.restart();
  EXPECT_FALSE(d.store->recovery_report().clean_stop);
  EXPECT_EQ(d.disk->key_count(Family::queue_log), 0u);
}

}  // namespace
}  // namespace warren::storage
