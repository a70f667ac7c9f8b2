// SPDX-License-Identifier: Apache-2.0
// What is broken is made sound, nothing is lost without being handed out, nothing sound is touched.
#include "storage/inspect/store_repair.h"

#include <gmock/gmock.h>

#include "storage/inspect/store_check.h"
#include "storage/inspect/store_view.h"

#include "tests/unit/storage/engine/temp_directory.h"
#include "tests/unit/storage/inspect/damage.h"
#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Repaired {
  RepairReport report;
  std::vector<std::string> actions;
  std::vector<QuarantinedRecord> taken;
  int changes = 0;
};

Repaired repair(const std::string& path, bool dry_run = false) {
  Repaired out;
  RepairOptions options;
  options.dry_run = dry_run;
  options.quarantine = [&](const QuarantinedRecord& record) -> Status {
    EXPECT_EQ(out.changes, 0) << "taken out before it was handed out";
    out.taken.push_back(record);
    return {};
  };
  options.before_change = [&]() -> Status {
    ++out.changes;
    return {};
  };
  options.on_action = [&](const std::string& where, const std::string& what) {
    out.actions.push_back(where + ": " + what);
  };
  const auto report = repair_store(path, options);
  EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().text);
  if (report.ok()) out.report = *report;
  EXPECT_EQ(out.report.actions, out.actions.size());
  EXPECT_EQ(out.report.quarantined, out.taken.size());
  return out;
}

std::vector<std::string> check(const std::string& path) {
  const auto view = open_store_view(path);
  EXPECT_TRUE(view.ok());
  const auto checked = check_store(*view->database);
  EXPECT_TRUE(checked.ok());
  return checked->problems;
}

LogStateRecord state_of(const std::string& path, std::uint64_t log) {
  const auto view = open_store_view(path);
  EXPECT_TRUE(view.ok());
  return read_catalog(*view->database)->state(LogId(log));
}

// Breaks a store, and wants one repair to make it sound and a second one to find nothing.
class StoreRepair : public ::testing::Test {
 protected:
  Repaired repair_of(const StoreRecords& records) {
    records.in_directory(path_);
    EXPECT_FALSE(check(path_).empty());
    const Repaired dry = repair(path_, true);
    EXPECT_EQ(dry.changes, 0);
    EXPECT_FALSE(check(path_).empty()) << "a dry run changed something";
    const Repaired out = repair(path_);
    EXPECT_EQ(out.actions, dry.actions);
    EXPECT_EQ(out.changes, 1);
    EXPECT_THAT(check(path_), IsEmpty());
    const Repaired again = repair(path_);
    EXPECT_THAT(again.actions, IsEmpty());
    EXPECT_EQ(again.changes, 0);
    return out;
  }

  const TempDirectory dir_;
  const std::string path_ = dir_ / "data";
};

TEST_F(StoreRepair, ASoundStoreIsLeftAlone) {
  sound_records().in_directory(path_);
  const Repaired repaired = repair(path_);
  EXPECT_THAT(repaired.actions, IsEmpty());
  EXPECT_EQ(repaired.changes, 0);
}

TEST_F(StoreRepair, CountersAreCountedAgain) {
  StoreRecords records = sound_records();
  records.state(1, {.head = 8, .next = 9, .live_count = 77, .live_bytes = 1, .delivered_mark = 6});
  const Repaired repaired = repair_of(records);
  EXPECT_THAT(repaired.taken, IsEmpty());
  const LogStateRecord state = state_of(path_, 1);
  EXPECT_EQ(state.live_count, 3u);
  EXPECT_EQ(state.live_bytes, 7u);
  EXPECT_EQ(state.head, 5u);
  EXPECT_EQ(state.next, 11u);
  EXPECT_EQ(state.delivered_mark, 6u);
}

TEST_F(StoreRepair, EstimatesAreCertainAgain) {
  StoreRecords records = sound_records();
  LogStateRecord state{.head = 5, .next = 11, .live_count = 3, .live_bytes = 7};
  state.delivered_mark = 6;
  state.estimated = true;
  repair_of(records.state(1, state));
  EXPECT_FALSE(state_of(path_, 1).estimated);
}

TEST_F(StoreRepair, ADamagedChunkIsHandedOutWithItsSettledSet) {
  StoreRecords records = sound_records();
  std::string value = StoreRecords::chunk_value(1, 5, {"aaa", "bb"});
  value.back() ^= 1;
  records.raw(Family::queue_log, StoreRecords::key(1, 5), value);
  const Repaired repaired = repair_of(records);
  EXPECT_THAT(repaired.taken,
              ElementsAre(AllOf(Field(&QuarantinedRecord::family, Family::queue_log),
                                Field(&QuarantinedRecord::value, value)),
                          Field(&QuarantinedRecord::family, Family::queue_acks)));
  EXPECT_EQ(state_of(path_, 1).live_count, 2u);
}

TEST_F(StoreRepair, ALargeDamagedChunkIsHandedOut) {
  StoreRecords records = sound_records();
  std::string value = StoreRecords::chunk_value(1, 20, {std::string(5000, 'L')});
  value[1000] = 'l';
  records.raw(Family::queue_log, StoreRecords::key(1, 20), value);
  const Repaired repaired = repair_of(records);
  EXPECT_THAT(repaired.taken, ElementsAre(Field(&QuarantinedRecord::value, value)));
  // The seqs of what is lost are not given again.
  EXPECT_GE(state_of(path_, 1).next, 21u);
}

// A flipped bit below RocksDB's own checksum: the record's bytes can still be had.
TEST_F(StoreRepair, ADamagedBlobIsHandedOut) {
  StoreRecords records = sound_records();
  records.queue("nine", 9).in_directory(path_);
  fill_blobs(path_, 9, 200);
  flip_bit(path_, ".blob");
  const Repaired repaired = repair_of(StoreRecords());
  ASSERT_EQ(repaired.taken.size(), 1u);
  ASSERT_TRUE(repaired.taken[0].value.has_value());
  EXPECT_GT(repaired.taken[0].value->size(), 3000u);
  EXPECT_EQ(state_of(path_, 9).live_count, 199u);
}

TEST_F(StoreRepair, SettledSetsThatCannotBeUsedAreHandedOut) {
  StoreRecords records = sound_records();
  records.raw(Family::queue_acks, StoreRecords::key(1, 5), "rubbish").acks(1, 50, 2, {0});
  const Repaired repaired = repair_of(records);
  EXPECT_EQ(repaired.taken.size(), 2u);
  EXPECT_EQ(state_of(path_, 1).live_count, 4u);  // the settled one comes again
}

TEST_F(StoreRepair, DamagedDefinitionsAndStatesAreHandedOut) {
  StoreRecords records = sound_records();
  records.raw(Family::definitions, std::string("\x05gone", 5), "rubbish");
  records.raw(Family::queue_state, encode_log_key(LogId(1)), "rubbish");
  const Repaired repaired = repair_of(records);
  EXPECT_EQ(repaired.taken.size(), 2u);
  const LogStateRecord state = state_of(path_, 1);
  EXPECT_EQ(state.live_count, 3u);
  EXPECT_EQ(state.next, 11u);
  // Nobody knows what was delivered: all of it is flagged (S14).
  EXPECT_EQ(state.delivered_mark, 10u);
}

TEST_F(StoreRepair, AWhollySettledChunkGoes) {
  StoreRecords records = sound_records();
  records.acks(1, 5, 2, {0, 1});
  EXPECT_THAT(repair_of(records).actions, Contains(HasSubstr("wholly settled: removed")));
  EXPECT_EQ(state_of(path_, 1).head, 5u);
}

TEST_F(StoreRepair, AStoreDescribesItselfAgain) {
  repair_of(sound_records().raw(Family::meta, std::string(kStoreMetaKey), "rubbish"));
  const auto view = open_store_view(path_);
  ASSERT_TRUE(view.ok());
  const auto catalog = read_catalog(*view->database);
  ASSERT_TRUE(catalog->meta.has_value());
  EXPECT_EQ(catalog->meta->store_id, kTestStoreId);
  EXPECT_GT(catalog->meta->log_id_limit, 2u);
  EXPECT_FALSE(catalog->meta->clean_stop);
}

TEST_F(StoreRepair, AMalformedKeyIsHandedOut) {
  EXPECT_THAT(repair_of(sound_records().raw(Family::queue_log, "short", "value")).taken,
              ElementsAre(AllOf(Field(&QuarantinedRecord::key, "short"),
                                Field(&QuarantinedRecord::value, "value"))));
}

TEST_F(StoreRepair, IndexesAreMadeKnownAndDamagedEntriesHandedOut) {
  StoreRecords records = sound_records();
  records.raw(Family::queue_due, encode_due_key({LogId(1), 5000, 6}), encode_due_chunk(5));
  records.raw(Family::queue_returns, encode_message_key({LogId(1), 6}), "rubbish");
  const Repaired repaired = repair_of(records);
  EXPECT_THAT(repaired.taken,
              ElementsAre(Field(&QuarantinedRecord::family, Family::queue_returns)));
  EXPECT_TRUE(state_of(path_, 1).has_due);
  EXPECT_FALSE(state_of(path_, 1).has_returns);
}

TEST_F(StoreRepair, QueuesThatShareALogAreLeftToPeople) {
  sound_records().queue("three", 2).in_directory(path_);
  const Repaired repaired = repair(path_);
  EXPECT_THAT(repaired.report.by_hand, ElementsAre(HasSubstr("shares its log with")));
  EXPECT_EQ(repaired.changes, 0);
}

TEST_F(StoreRepair, RefusesAStoreThatIsInUse) {
  sound_records().in_directory(path_);
  const auto held = StoreDirectory::open(path_);
  ASSERT_TRUE(held.ok());
  const auto refused = repair_store(path_, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::in_use);
}

TEST_F(StoreRepair, ChangesNothingWhenTheQuarantineCannotBeWritten) {
  StoreRecords records = sound_records();
  records.raw(Family::queue_log, "short", "value").in_directory(path_);
  RepairOptions options;
  options.quarantine = [](const QuarantinedRecord&) -> Status {
    return Error{Errc::no_space, "full"};
  };
  EXPECT_FALSE(repair_store(path_, options).ok());
  options.quarantine = {};
  options.before_change = []() -> Status { return Error{Errc::no_space, "full"}; };
  EXPECT_FALSE(repair_store(path_, options).ok());
  EXPECT_EQ(check(path_).size(), 1u);
}

}  // namespace
}  // namespace warren::storage
