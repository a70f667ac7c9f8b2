// SPDX-License-Identifier: Apache-2.0
// Everything that INVARIANTS.md promises of the disk, broken one by one: the check must name it.
#include "storage/inspect/store_check.h"

#include <gmock/gmock.h>

#include "storage/record/envelope.h"

#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> problems_of(const StoreRecords& records) {
  const auto store = records.in_memory();
  const auto checked = check_store(*store);
  EXPECT_TRUE(checked.ok());
  EXPECT_EQ(checked->findings, checked->problems.size());
  return checked->problems;
}

LogStateRecord state_of_one() {
  return {.head = 5, .next = 11, .live_count = 3, .live_bytes = 7, .delivered_mark = 6};
}

TEST(StoreCheck, ASoundStoreFits) {
  const auto store = sound_records().in_memory();
  const auto checked = check_store(*store);
  ASSERT_TRUE(checked.ok());
  EXPECT_THAT(checked->problems, IsEmpty());
  EXPECT_EQ(checked->definitions, 3u);
  EXPECT_EQ(checked->logs, 2u);
  EXPECT_EQ(checked->chunks, 2u);
  EXPECT_EQ(checked->messages, 3u);
  EXPECT_EQ(checked->bytes, 7u);
}

TEST(StoreCheck, TellsEachFindingAndItsProgress) {
  StoreRecords records = sound_records();
  records.acks(1, 100, 2, {0}).acks(1, 200, 2, {0});
  const auto store = records.in_memory();
  std::vector<std::string> places;
  std::uint64_t bytes = 0;
  CheckObserver observer;
  observer.on_finding = [&](const Finding& finding) { places.push_back(finding.where); };
  observer.on_progress = [&](const CheckProgress& progress) { bytes = progress.bytes; };
  ASSERT_TRUE(check_store(*store, observer).ok());
  EXPECT_THAT(places, ElementsAre("log 1 chunk 100, queue 'one' in vhost '/'",
                                  "log 1 chunk 200, queue 'one' in vhost '/'"));
  EXPECT_GT(bytes, 100u);
}

// A queue that says it is empty is not read; one that says it is not sure is.
TEST(StoreCheck, MessagesBehindAnEmptyStateAreHidden) {
  LogStateRecord state{.head = 5, .next = 11, .live_count = 0, .live_bytes = 0};
  state.delivered_mark = 6;
  StoreRecords records = sound_records();
  EXPECT_THAT(problems_of(records.state(1, state)),
              ElementsAre(HasSubstr("messages S15 log 1, queue 'one' in vhost '/': says 0")));
  state.estimated = true;
  EXPECT_THAT(problems_of(records.state(1, state)),
              ElementsAre(HasSubstr("counters S15 log 1, queue 'one' in vhost '/': says 0")));
}

// S15
TEST(StoreCheck, CountersThatLieAreFound) {
  for (const int field : {0, 1}) {
    StoreRecords records = sound_records();
    LogStateRecord state = state_of_one();
    ++(field == 0 ? state.live_count : state.live_bytes);
    records.state(1, state);
    EXPECT_THAT(problems_of(records),
                ElementsAre(HasSubstr("counters S15 log 1, queue 'one' in vhost '/': says")));
  }
}

TEST(StoreCheck, AHeadBehindALiveMessageIsFound) {
  StoreRecords records = sound_records();
  LogStateRecord state = state_of_one();
  state.head = 6;
  EXPECT_THAT(problems_of(records.state(1, state)),
              ElementsAre(HasSubstr("starts at 6, there is a live chunk 5")));
}

// S1
TEST(StoreCheck, ASeqThatWouldBeGivenTwiceIsFound) {
  StoreRecords records = sound_records();
  LogStateRecord state = state_of_one();
  state.next = 10;
  EXPECT_THAT(problems_of(records.state(1, state)),
              ElementsAre(HasSubstr("messages S1 log 1, queue 'one' in vhost '/': goes on at 10, "
                                    "there is a message 10")));
}

TEST(StoreCheck, OverlappingChunksAreFound) {
  StoreRecords records = sound_records();
  LogStateRecord state = state_of_one();
  state.live_count = 4;
  state.live_bytes = 8;
  records.chunk(1, 10, {"x"}).state(1, state);
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("overlaps the one before it")));
}

TEST(StoreCheck, ALogIdThatWouldBeGivenTwiceIsFound) {
  EXPECT_THAT(problems_of(sound_records().meta(2)),
              ElementsAre(HasSubstr("S1 store: log 2 is in use")));
}

TEST(StoreCheck, TwoQueuesOfOneLogAreFound) {
  EXPECT_THAT(problems_of(sound_records().queue("three", 2)),
              Contains(HasSubstr("store S1 queue 'two' in vhost '/': shares its log")));
}

// S5
TEST(StoreCheck, AWhollySettledChunkIsFound) {
  StoreRecords records = sound_records();
  LogStateRecord state = state_of_one();
  state.live_count = 2;
  state.live_bytes = 5;
  records.acks(1, 5, 2, {0, 1}).state(1, state);
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("wholly settled and still there")));
}

TEST(StoreCheck, ASettledSetWithoutItsChunkIsFound) {
  EXPECT_THAT(problems_of(sound_records().acks(2, 1, 2, {0})),
              ElementsAre(HasSubstr("S5 log 2 chunk 1, queue 'two' in vhost '/': settled set "
                                    "without its chunk")));
}

// S7
TEST(StoreCheck, ADamagedChunkIsFoundAndItsQueueNamed) {
  StoreRecords records = sound_records();
  std::string value = StoreRecords::chunk_value(1, 9, {"c", "dddd"});
  value.back() ^= 0x10;
  records.raw(Family::queue_log, StoreRecords::key(1, 9), value);
  EXPECT_THAT(problems_of(records),
              ElementsAre(HasSubstr("messages S7 log 1 chunk 9, queue 'one' in vhost '/': 2 "
                                    "messages in 69 bytes: chunk fails its checksum"),
                          HasSubstr("messages S7 log 1, queue 'one' in vhost '/': 2 messages "
                                    "cannot be read")));
}

TEST(StoreCheck, ADamagedSettledSetIsFound) {
  StoreRecords records = sound_records();
  LogStateRecord state = state_of_one();
  state.live_count = 4;
  state.live_bytes = 10;
  records.raw(Family::queue_acks, StoreRecords::key(1, 5), "rubbish").state(1, state);
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("repeats S7 log 1 chunk 5")));
}

TEST(StoreCheck, DamagedSmallRecordsAreFound) {
  StoreRecords records = sound_records();
  records.raw(Family::definitions, std::string("\x05gone", 5), seal(1, "\x05nothing"));
  records.raw(Family::queue_state, "shortkey-not", encode_log_state({}));
  records.raw(Family::queue_state, encode_log_key(LogId(9)), "rubbish");
  const auto problems = problems_of(records);
  EXPECT_THAT(problems, Contains(HasSubstr("store S7 family definitions key")));
  EXPECT_THAT(problems, Contains(HasSubstr("queue state under a malformed key")));
  EXPECT_THAT(problems, Contains(HasSubstr("queue state record fails its checksum")));
  EXPECT_EQ(problems.size(), 3u);
}

TEST(StoreCheck, AStoreThatDoesNotDescribeItselfIsFound) {
  StoreRecords records;
  records.queue("one", 1);
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("store S9 store")));
  EXPECT_THAT(problems_of(sound_records().raw(Family::meta, std::string(kStoreMetaKey), "rubbish")),
              ElementsAre(HasSubstr("store meta record fails its checksum")));
}

// S11
TEST(StoreCheck, AMalformedKeyIsFound) {
  EXPECT_THAT(problems_of(sound_records().raw(Family::queue_log, "short", "value")),
              ElementsAre(HasSubstr("messages S11 key \"short\"")));
}

TEST(StoreCheck, LogsWithoutAQueueAndMessagesWithoutAStateAreFound) {
  StoreRecords records = sound_records();
  records.chunk(5, 1, {"x"}).state(5, {.head = 1, .next = 2, .live_count = 1, .live_bytes = 1});
  records.queue("six", 6).chunk(6, 1, {"y"});
  const auto problems = problems_of(records);
  EXPECT_THAT(problems, Contains(HasSubstr("harmless S12 log 5, no queue: belongs to no queue")));
  EXPECT_THAT(problems, Contains(HasSubstr("messages S15 log 6, queue 'six' in vhost '/': 1 "
                                           "messages of 1 bytes and no state")));
  EXPECT_EQ(problems.size(), 2u);
}

// S16
TEST(StoreCheck, IndexesThatTheLogDoesNotKnowOfAreFound) {
  StoreRecords records = sound_records();
  records.raw(Family::queue_due, encode_due_key({LogId(1), 5000, 6}), encode_due_chunk(5));
  records.raw(Family::queue_returns, encode_message_key({LogId(1), 6}), encode_returns(2));
  EXPECT_THAT(problems_of(records),
              ElementsAre(HasSubstr("due times that the log"), HasSubstr("returns that the log")));
  LogStateRecord state = state_of_one();
  state.has_due = true;
  state.has_returns = true;
  EXPECT_THAT(problems_of(records.state(1, state)), IsEmpty());
}

TEST(StoreCheck, DamagedIndexEntriesAreFound) {
  StoreRecords records = sound_records();
  records.raw(Family::queue_due, encode_due_key({LogId(1), 5000, 6}), "rubbish");
  records.raw(Family::queue_returns, "short", encode_returns(2));
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("due entry record fails its checksum"),
                                                HasSubstr("family queue_returns key")));
}

TEST(StoreCheck, EveryLaneOfAQueueIsItsOwn) {
  StoreRecords records = sound_records();
  QueueDefinition queue;
  queue.vhost = "/";
  queue.name = "lanes";
  queue.log = LogId(10);
  queue.log_count = 3;
  records.define(queue).chunk(12, 1, {"x"});
  records.state(12, {.head = 1, .next = 2, .live_count = 1, .live_bytes = 1});
  EXPECT_THAT(problems_of(records), IsEmpty());
  EXPECT_THAT(problems_of(records.queue("another", 11)), ElementsAre(HasSubstr("shares its log")));
}

TEST(StoreCheck, ManyFindingsAreCountedAndTheirTextsBounded) {
  StoreRecords records = sound_records();
  for (Seq base = 100; base < 100 + 2 * kProblemsMax; ++base) records.acks(1, base, 2, {0});
  const auto store = records.in_memory();
  const auto checked = check_store(*store);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->findings, 2 * kProblemsMax);
  EXPECT_EQ(checked->problems.size(), kProblemsMax + 1);
  EXPECT_EQ(checked->problems.back(), "and more");
}

TEST(ReferenceCheck, WhatReferstoNothingIsFound) {
  StoreRecords records = sound_records();
  PermissionDefinition permission;
  permission.user = "nobody";
  permission.vhost = "/";
  ExchangeDefinition exchange;
  exchange.vhost = "elsewhere";
  exchange.name = "x";
  BindingDefinition binding;
  binding.vhost = "/";
  binding.source = "amq.topic";
  binding.destination = "gone";
  BindingDefinition between;
  between.vhost = "/";
  between.source = "lost";
  between.destination_kind = BindingDestination::exchange;
  between.destination = "also lost";
  BindingDefinition fine = between;
  fine.source = "amq.fanout";
  fine.destination = "amq.topic";
  records.define(permission).define(exchange).define(binding).define(between).define(fine);
  const auto store = records.in_memory();
  const auto catalog = read_catalog(*store);
  ASSERT_TRUE(catalog.ok());
  std::vector<std::string> texts;
  for (const Finding& finding : check_references(*catalog)) texts.push_back(to_text(finding));
  EXPECT_THAT(texts,
              UnorderedElementsAre(HasSubstr("refers to user 'nobody'"),
                                   HasSubstr("refers to vhost 'elsewhere'"),
                                   HasSubstr("refers to queue 'gone' in vhost '/'"),
                                   HasSubstr("refers to exchange 'lost' in vhost '/'"),
                                   HasSubstr("refers to exchange 'also lost' in vhost '/'")));
}

}  // namespace
}  // namespace warren::storage
