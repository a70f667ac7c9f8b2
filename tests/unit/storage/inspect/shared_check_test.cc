// SPDX-License-Identifier: Apache-2.0
// Bodies that several logs refer to: what does not fit together is found, and repaired. Checks: S6,
// S7.
#include <gmock/gmock.h>

#include "storage/inspect/bodies.h"
#include "storage/inspect/store_check.h"
#include "storage/inspect/store_repair.h"
#include "storage/inspect/store_stats.h"
#include "storage/inspect/store_view.h"

#include "tests/unit/storage/engine/temp_directory.h"
#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kBodyKey = encode_body_key(kSharedBody);

std::vector<std::string> problems_of(KvStore& store) {
  const auto checked = check_store(store);
  EXPECT_TRUE(checked.ok());
  return checked->problems;
}
std::vector<std::string> problems_of(const StoreRecords& records) {
  const auto store = records.in_memory();
  return problems_of(*store);
}

TEST(SharedCheck, ASoundStoreFits) {
  const auto store = shared_records().in_memory();
  const auto checked = check_store(*store);
  ASSERT_TRUE(checked.ok());
  EXPECT_THAT(checked->problems, IsEmpty());
  EXPECT_EQ(checked->messages, 2u);
  EXPECT_EQ(checked->bytes, 14u);
  EXPECT_EQ(checked->bodies, 1u);
  const auto usage = measure_bodies(*store);
  ASSERT_TRUE(usage.ok());
  EXPECT_EQ(usage->bodies, 1u);
  EXPECT_EQ(usage->bytes, 7u);
  EXPECT_EQ(usage->references, 2u);
  const auto logs = measure_logs(*store, {});
  ASSERT_TRUE(logs.ok());
  EXPECT_EQ(logs->at(LogId(1)).live_bytes, 7u);
}

// Too low a count costs messages one day, too high a one costs space.
TEST(SharedCheck, AWrongCountIsFound) {
  EXPECT_THAT(problems_of(shared_records().body_count(kSharedBody, 1)),
              ElementsAre("messages S6 body 65536/1: says 1 references, there are 2"));
  EXPECT_THAT(problems_of(shared_records().body_count(kSharedBody, 3)),
              ElementsAre("counters S6 body 65536/1: says 3 references, there are 2"));
  EXPECT_THAT(problems_of(shared_records().remove(Family::body_counts, kBodyKey)),
              ElementsAre("messages S6 body 65536/1: says 0 references, there are 2"));
  EXPECT_THAT(problems_of(shared_records().raw(Family::body_counts, kBodyKey, "rubbish")),
              Contains(HasSubstr("counters S7 family body_counts")));
}

TEST(SharedCheck, ALostBodyIsFoundForEachMessage) {
  const auto said = AllOf(SizeIs(3), Contains(HasSubstr("messages S6 log 1 chunk 3, queue 'one'")),
                          Contains(HasSubstr("messages S6 log 2 chunk 3, queue 'two'")));
  EXPECT_THAT(problems_of(shared_records().remove(Family::bodies, kBodyKey)), said);
  EXPECT_THAT(problems_of(shared_records().body(kSharedBody, "another")), IsEmpty());
  EXPECT_THAT(problems_of(shared_records().body(kSharedBody, "too long")),
              Contains(HasSubstr("has 8 bytes, not 7")));
  EXPECT_THAT(problems_of(shared_records().raw(Family::bodies, kBodyKey, "rubbish")),
              AllOf(SizeIs(4), Contains(HasSubstr("messages S7 family bodies"))));
}

TEST(SharedCheck, ABodyThatNobodyRefersToIsFound) {
  const BodyId other{kBodyOriginsPerStart, 2};
  EXPECT_THAT(problems_of(shared_records().body(other, "x").body_count(other, 1)),
              ElementsAre("counters S6 body 65536/2: says 1 references, there are 0"));
}

TEST(SharedCheck, ReferencesThatTheirChunkDoesNotKnowAreFound) {
  const std::string key = StoreRecords::key(1, 3);
  EXPECT_THAT(problems_of(shared_records().remove(Family::queue_shared, key)),
              ElementsAre(HasSubstr("counters S6 log 1 chunk 3, queue 'one' in vhost '/': refers "
                                    "to 1 bodies, queue_shared says 0")));
  EXPECT_THAT(problems_of(shared_records().references(1, 3, {kSharedBody, kSharedBody})),
              ElementsAre(HasSubstr("queue_shared says 2")));
  EXPECT_THAT(problems_of(shared_records().raw(Family::queue_shared, key, "rubbish")),
              ElementsAre(HasSubstr("counters S7 log 1 chunk 3, queue 'one' in vhost '/': "
                                    "references: ")));
}

// What a purge leaves for a while is on record; anything else is a leftover.
TEST(SharedCheck, ReferencesWithoutTheirChunkAreFoundUnlessTheyAreSwept) {
  StoreRecords records = shared_records();
  records.references(1, 2, {kSharedBody}).body_count(kSharedBody, 3);
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("harmless S6 log 1 chunk 2, queue 'one' "
                                                          "in vhost '/': references without")));
  EXPECT_THAT(problems_of(records.sweep({LogId(1), 1, 3})), IsEmpty());
  EXPECT_THAT(problems_of(records.raw(Family::meta, "sweep?", "")),
              ElementsAre(HasSubstr("store S11 family default")));
}

TEST(SharedCheck, ALogThatDoesNotKnowOfItsReferencesIsFound) {
  StoreRecords records = shared_records();
  records.state(1, {.head = 3, .next = 4, .live_count = 1, .live_bytes = 7, .delivered_mark = 3});
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("references that the log does not")));
}

// S1
TEST(SharedCheck, ANameThatWouldBeGivenTwiceIsFound) {
  StoreRecords records = shared_records();
  records.raw(Family::meta, std::string(kStoreMetaKey),
              encode_store_meta(StoreMeta{kTestStoreId, 1000, true, 0}));
  EXPECT_THAT(problems_of(records), ElementsAre(HasSubstr("is of start 1, there were 0")));
}

class SharedRepair : public ::testing::Test {
 protected:
  struct Outcome {
    std::vector<std::string> actions;
    std::vector<QuarantinedRecord> taken;
  };
  Outcome repair_once() {
    Outcome out;
    RepairOptions options;
    options.quarantine = [&](const QuarantinedRecord& record) -> Status {
      out.taken.push_back(record);
      return {};
    };
    options.on_action = [&](const std::string& where, const std::string& what) {
      out.actions.push_back(where + ": " + what);
    };
    EXPECT_TRUE(repair_store(path_, options).ok());
    return out;
  }
  // One repair makes it sound, a second one finds nothing.
  Outcome repair(const StoreRecords& records) {
    records.in_directory(path_);
    EXPECT_FALSE(check().empty());
    Outcome out = repair_once();
    EXPECT_THAT(check(), IsEmpty());
    EXPECT_THAT(repair_once().actions, IsEmpty());
    return out;
  }
  std::vector<std::string> check() const {
    const auto view = open_store_view(path_);
    EXPECT_TRUE(view.ok());
    return problems_of(*view->database);
  }
  std::uint64_t live_count(std::uint64_t log) const {
    const auto view = open_store_view(path_);
    return read_catalog(*view->database)->state(LogId(log)).live_count;
  }

  const TempDirectory dir_;
  const std::string path_ = dir_ / "data";
};

TEST_F(SharedRepair, AWrongCountIsCountedAgain) {
  const Outcome out = repair(shared_records().body_count(kSharedBody, 1));
  EXPECT_THAT(out.actions, ElementsAre("body 65536/1: 2 references (was 1)"));
  EXPECT_THAT(out.taken, IsEmpty());
  EXPECT_EQ(live_count(1), 1u);
}

TEST_F(SharedRepair, ADamagedCountIsCountedAgain) {
  const Outcome out = repair(shared_records().raw(Family::body_counts, kBodyKey, "rubbish"));
  EXPECT_THAT(out.actions, Contains("body 65536/1: 2 references (was 0)"));
  EXPECT_EQ(live_count(1), 1u);
}

TEST_F(SharedRepair, MessagesWithoutTheirBodyAreGivenUp) {
  StoreRecords records = shared_records().remove(Family::bodies, kBodyKey);
  records.chunk(1, 4, {"own"});
  records.state(1, {.head = 3,
                    .next = 5,
                    .live_count = 2,
                    .live_bytes = 10,
                    .delivered_mark = 3,
                    .has_shared = true});
  const Outcome out = repair(records);
  EXPECT_THAT(out.actions, Contains(HasSubstr("message 3 given up: body 65536/1 is missing")));
  EXPECT_THAT(out.actions, Contains("body 65536/1: count without its body: removed"));
  EXPECT_EQ(live_count(1), 1u);
  EXPECT_EQ(live_count(2), 0u);
}

TEST_F(SharedRepair, ADamagedBodyIsHandedOut) {
  const Outcome out = repair(shared_records().raw(Family::bodies, kBodyKey, "rubbish"));
  ASSERT_THAT(out.taken, SizeIs(1));
  EXPECT_EQ(out.taken[0].family, Family::bodies);
  EXPECT_EQ(out.taken[0].value, "rubbish");
  EXPECT_EQ(live_count(1), 0u);
}

TEST_F(SharedRepair, ABodyThatNobodyRefersToIsHandedOut) {
  const BodyId other{kBodyOriginsPerStart, 2};
  const Outcome out = repair(shared_records().body(other, "x").body_count(other, 1));
  ASSERT_THAT(out.taken, SizeIs(1));
  EXPECT_EQ(out.taken[0].key, encode_body_key(other));
  EXPECT_EQ(out.taken[0].value, encode_body("x"));
  EXPECT_EQ(live_count(1), 1u);
}

// What a damaged chunk referred to is referred to no more.
TEST_F(SharedRepair, ADamagedChunkLetsGoOfItsBody) {
  const Outcome out =
      repair(shared_records().raw(Family::queue_log, StoreRecords::key(1, 3), "rubbish"));
  EXPECT_THAT(out.actions, Contains("body 65536/1: 1 references (was 2)"));
  EXPECT_EQ(live_count(1), 0u);
  EXPECT_EQ(live_count(2), 1u);
}

TEST_F(SharedRepair, ReferencesAreNotedAgain) {
  const std::string key = StoreRecords::key(1, 3);
  const Outcome out = repair(shared_records().raw(Family::queue_shared, key, "rubbish"));
  EXPECT_THAT(out.actions, ElementsAre(HasSubstr("refers to 1 bodies: noted again")));
  ASSERT_THAT(out.taken, SizeIs(1));
  EXPECT_EQ(out.taken[0].family, Family::queue_shared);
}

// A sweep that is under way is the broker's; other leftovers go.
TEST_F(SharedRepair, LeftoversGoAndSweepsStay) {
  StoreRecords records = shared_records();
  records.references(1, 1, {kSharedBody}).references(1, 2, {kSharedBody});
  records.sweep({LogId(1), 1, 2}).body_count(kSharedBody, 4);
  const Outcome out = repair(records);
  EXPECT_THAT(out.actions, ElementsAre(HasSubstr("log 1 chunk 2, queue 'one' in vhost '/': "
                                                 "references without their chunk: removed"),
                                       "body 65536/1: 3 references (was 4)"));
}

// Its purge is durable, as the sweep is: what brought it back is damage.
TEST_F(SharedRepair, AChunkThatIsSweptIsGone) {
  StoreRecords records = shared_records();
  records.sweep({LogId(1), 1, 4}).state(1, {.head = 4, .next = 4, .has_shared = true});
  const Outcome out = repair(records);
  EXPECT_THAT(out.actions, Contains(HasSubstr("log 1 chunk 3, queue 'one' in vhost '/': wholly "
                                              "settled: removed")));
  EXPECT_THAT(out.actions, Contains("body 65536/1: 1 references (was 2)"));
  EXPECT_EQ(live_count(1), 0u);
  EXPECT_EQ(live_count(2), 1u);
}

TEST_F(SharedRepair, ALogLearnsOfItsReferencesAndTheStoreOfItsStarts) {
  StoreRecords records = shared_records();
  records.state(1, {.head = 3, .next = 4, .live_count = 1, .live_bytes = 7, .delivered_mark = 3});
  records.raw(Family::meta, std::string(kStoreMetaKey),
              encode_store_meta(StoreMeta{kTestStoreId, 1000, true, 0}));
  EXPECT_THAT(repair(records).actions, SizeIs(2));
}

}  // namespace
}  // namespace warren::storage
