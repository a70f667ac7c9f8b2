// SPDX-License-Identifier: Apache-2.0
// Tables of each family with a damaged block: what can be read is saved, what is lost is named,
// nothing that was settled or deleted comes back unmarked, and the store is sound afterwards.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "storage/inspect/store_check.h"
#include "storage/inspect/store_repair.h"
#include "storage/inspect/store_view.h"
#include "storage/kv/table_scan.h"

#include "tests/unit/storage/engine/temp_directory.h"
#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kLogs = 200;
constexpr std::uint64_t kLeap = std::uint64_t{1} << 32;

struct Repaired {
  RepairReport report;
  std::vector<std::string> actions;
  std::vector<QuarantinedRecord> taken;
  std::vector<std::string> tables;
};

class TableRepair : public ::testing::Test {
 protected:
  // Logs of queues with four messages each, the first of them settled.
  static StoreRecords many() {
    StoreRecords records;
    records.meta().define(VhostDefinition{"/"});
    for (std::uint64_t log = 1; log <= kLogs; ++log) {
      records.queue(fmt::format("queue-{:03}", log), log);
      records.chunk(log, 10, {"one", "two"}).chunk(log, 20, {"three"}).chunk(log, 30, {"four"});
      records.acks(log, 10, 2, {0});
      records.state(log, {.head = 10,
                          .next = 31,
                          .live_count = 3,
                          .live_bytes = 12,
                          .delivered_mark = 12,
                          .has_due = true,
                          .has_returns = true});
      records.raw(Family::queue_due, encode_due_key({LogId(log), 5000, 20}), encode_due_chunk(20));
      records.raw(Family::queue_returns, encode_message_key({LogId(log), 20}), encode_returns(2));
      records.raw(Family::spill, StoreRecords::key(log, 40), std::string(50, 's'));
    }
    return records;
  }

  // What is written next is in other tables.
  void make_tables() const {
    auto store = open_rocks_store(store_database_path(path_), RocksSettings{});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->close().ok());
  }
  void commit(const KvBatch& batch) const {
    auto store = open_rocks_store(store_database_path(path_), RocksSettings{});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->commit(batch, WriteMode::synced).ok());
    ASSERT_TRUE((*store)->close().ok());
    make_tables();
  }

  std::vector<std::string> tables_of(Family family) const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(store_database_path(path_))) {
      if (entry.path().extension() != ".sst") continue;
      if (scan(entry.path()).family == kFamilyNames[family_index(family)]) {
        out.push_back(entry.path());
      }
    }
    std::ranges::sort(out);
    return out;
  }
  static TableScan scan(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    TableFile file;
    file.bytes = bytes.size();
    file.read = [&bytes](std::uint64_t offset, std::size_t size) -> Result<std::string> {
      return bytes.substr(offset, size);
    };
    return scan_table(file);
  }
  static void damage(const std::string& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file << "damaged";
  }
  // A block in the middle of the family's newest table, or of all it has.
  void damage_block(Family family) {
    const auto tables = tables_of(family);
    ASSERT_FALSE(tables.empty());
    const TableScan scanned = scan(tables.back());
    damage(tables.back(), scanned.data[scanned.data.size() / 2].at.offset + 20);
    damaged_ = std::filesystem::path(tables.back()).filename();
  }
  void damage_every_block(Family family) {
    const auto tables = tables_of(family);
    ASSERT_FALSE(tables.empty());
    for (const TableScan::DataBlock& block : scan(tables.back()).data) {
      damage(tables.back(), block.at.offset + 20);
    }
    damaged_ = std::filesystem::path(tables.back()).filename();
  }

  Repaired repair(bool dry_run) {
    Repaired out;
    RepairOptions options;
    options.dry_run = dry_run;
    bool changed = false;
    options.quarantine = [&](const QuarantinedRecord& record) -> Status {
      EXPECT_FALSE(changed);
      out.taken.push_back(record);
      return {};
    };
    options.keep_table = [&](const std::string& path) -> Status {
      EXPECT_FALSE(changed);
      EXPECT_TRUE(std::filesystem::exists(path));
      out.tables.push_back(std::filesystem::path(path).filename());
      return {};
    };
    options.before_change = [&]() -> Status {
      changed = true;
      return {};
    };
    options.on_action = [&](const std::string& where, const std::string& what) {
      out.actions.push_back(where + ": " + what);
    };
    const auto report = repair_store(path_, options);
    EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().text);
    if (report.ok()) out.report = *report;
    return out;
  }

  std::vector<std::string> check(Tables tables) const {
    auto view = open_store_view(path_, tables);
    EXPECT_TRUE(view.ok()) << (view.ok() ? "" : view.error().text);
    if (!view.ok()) return {"does not open"};
    const auto checked = check_store(*view->database);
    EXPECT_TRUE(checked.ok());
    std::vector<std::string> out = checked->problems;
    for (const Finding& finding : check_files(*view)) out.push_back(to_text(finding));
    return out;
  }

  Repaired repair_damage(Family family) {
    const std::string name(kFamilyNames[family_index(family)]);
    const auto found = check(Tables::mended);
    EXPECT_THAT(found, Contains(HasSubstr(fmt::format("table {}: family {}", damaged_, name))));
    const Repaired dry = repair(true);
    EXPECT_THAT(dry.tables, IsEmpty());
    EXPECT_EQ(check(Tables::mended), found) << "a dry run changed something";
    Repaired out = repair(false);
    EXPECT_EQ(out.actions, dry.actions);
    EXPECT_THAT(out.tables, ElementsAre(damaged_));
    EXPECT_EQ(out.report.tables, 1u);
    EXPECT_FALSE(std::filesystem::exists(store_database_path(path_) + "/" + damaged_));
    EXPECT_THAT(check(Tables::as_they_are), IsEmpty());
    const Repaired again = repair(false);
    EXPECT_THAT(again.actions, IsEmpty());
    EXPECT_THAT(again.tables, IsEmpty());
    return out;
  }

  Catalog catalog() const {
    const auto view = open_store_view(path_);
    EXPECT_TRUE(view.ok());
    return *read_catalog(*view->database);
  }

  const TempDirectory dir_{TempDirectory::Where::memory};
  const std::string path_ = dir_ / "data";
  std::string damaged_;
};

TEST_F(TableRepair, OfChunksTheOnesInTheBlockAreLostAndCounted) {
  many().in_directory(path_);
  make_tables();
  damage_block(Family::queue_log);
  const Repaired repaired = repair_damage(Family::queue_log);
  EXPECT_THAT(repaired.taken, Each(Field(&QuarantinedRecord::family, Family::queue_acks)));
  EXPECT_GT(repaired.report.lost_at_least, 0u);
  EXPECT_EQ(repaired.report.lost_at_least, repaired.report.lost_at_most);
  std::uint64_t left = 0;
  for (const auto& [log, state] : catalog().states) {
    EXPECT_EQ(state.next, 31u);
    EXPECT_EQ(state.delivered_mark, 12u);
    left += state.live_count;
  }
  EXPECT_EQ(left + repaired.report.lost_at_least, 3 * kLogs);
  EXPECT_GT(left, 2 * kLogs);
}

// S5: what was settled in a commit whose deletion is lost does not come again.
TEST_F(TableRepair, ChunksBelowTheHeadStaySettled) {
  many().in_directory(path_);
  make_tables();
  KvBatch batch;
  for (std::uint64_t log = 1; log <= kLogs; ++log) {
    batch.erase_once(Family::queue_log, StoreRecords::key(log, 10));
    batch.erase(Family::queue_acks, StoreRecords::key(log, 10));
    batch.put(Family::queue_state, encode_log_key(LogId(log)),
              encode_log_state({.head = 20,
                                .next = 31,
                                .live_count = 2,
                                .live_bytes = 9,
                                .delivered_mark = 12,
                                .has_due = true,
                                .has_returns = true}));
  }
  commit(batch);
  damage_every_block(Family::queue_log);
  const Repaired repaired = repair_damage(Family::queue_log);
  EXPECT_EQ(repaired.report.lost_at_most, 0u);
  for (const auto& [log, state] : catalog().states) {
    EXPECT_EQ(state.live_count, 2u);
    EXPECT_EQ(state.head, 20u);
    EXPECT_EQ(state.delivered_mark, 12u);
  }
}

// In doubt a message comes again, and says so.
TEST_F(TableRepair, ChunksThatMayBeBackAreFlagged) {
  many().in_directory(path_);
  make_tables();
  KvBatch batch;
  for (std::uint64_t log = 1; log <= kLogs; ++log) {
    batch.erase_once(Family::queue_log, StoreRecords::key(log, 20));
    batch.put(Family::queue_state, encode_log_key(LogId(log)),
              encode_log_state({.head = 10,
                                .next = 31,
                                .live_count = 2,
                                .live_bytes = 7,
                                .delivered_mark = 12,
                                .has_due = true,
                                .has_returns = true}));
  }
  commit(batch);
  damage_every_block(Family::queue_log);
  const Repaired repaired = repair_damage(Family::queue_log);
  EXPECT_THAT(repaired.actions, Contains(HasSubstr("at least 1 and at most 3 settled ones come")));
  EXPECT_EQ(repaired.report.lost_at_least, 0u);
  for (const auto& [log, state] : catalog().states) {
    EXPECT_EQ(state.live_count, 3u);
    EXPECT_GE(state.delivered_mark, 20u);
  }
}

// New chunks are lost, deletions of old ones as well: between which bounds is what can be told.
TEST_F(TableRepair, LossesAndReturnsAreToldAsBounds) {
  many().in_directory(path_);
  make_tables();
  KvBatch batch;
  batch.erase_once(Family::queue_log, StoreRecords::key(1, 20));
  batch.put(Family::queue_log, StoreRecords::key(1, 40),
            StoreRecords::chunk_value(1, 40, {"a", "b", "c"}));
  batch.put(Family::queue_state, encode_log_key(LogId(1)),
            encode_log_state({.head = 10,
                              .next = 43,
                              .live_count = 5,
                              .live_bytes = 10,
                              .delivered_mark = 12,
                              .has_due = true,
                              .has_returns = true}));
  commit(batch);
  damage_every_block(Family::queue_log);
  const Repaired repaired = repair_damage(Family::queue_log);
  // Three are lost and one is back. Seen are three where five should be, two of these in doubt.
  EXPECT_EQ(repaired.report.lost_at_least, 2u);
  EXPECT_EQ(repaired.report.lost_at_most, 4u);
  EXPECT_EQ(catalog().state(LogId(1)).live_count, 3u);
  EXPECT_EQ(catalog().state(LogId(1)).next, 43u);
}

TEST_F(TableRepair, OfSettledSetsTheMessagesComeAgain) {
  many().in_directory(path_);
  make_tables();
  damage_block(Family::queue_acks);
  const Repaired repaired = repair_damage(Family::queue_acks);
  EXPECT_EQ(repaired.report.lost_at_most, 0u);
  EXPECT_THAT(repaired.actions, Contains(HasSubstr("1 settled messages come again")));
  std::uint64_t again = 0;
  for (const auto& [log, state] : catalog().states) {
    if (state.live_count == 4) ++again;
    EXPECT_GE(state.delivered_mark, 12u);
  }
  EXPECT_GT(again, 0u);
  EXPECT_LT(again, kLogs);
}

// S1, S14: nobody knows which numbers were given away, nor what was delivered.
TEST_F(TableRepair, OfStatesNumbersAreLeftOutAndAllIsFlagged) {
  many().in_directory(path_);
  make_tables();
  damage_block(Family::queue_state);
  repair_damage(Family::queue_state);
  const Catalog found = catalog();
  std::uint64_t lost = 0;
  for (std::uint64_t log = 1; log <= kLogs; ++log) {
    const LogStateRecord state = found.state(LogId(log));
    EXPECT_EQ(state.live_count, 3u);
    EXPECT_TRUE(state.has_due);
    EXPECT_TRUE(state.has_returns);
    if (state.next == 31) continue;
    ++lost;
    EXPECT_GT(state.next, kLeap);
    EXPECT_EQ(state.delivered_mark, 30u);
    EXPECT_EQ(state.head, 10u);
  }
  EXPECT_GT(lost, 0u);
  EXPECT_LT(lost, kLogs);
}

TEST_F(TableRepair, OfNewStatesTheOldOnesAreNotBelieved) {
  many().in_directory(path_);
  make_tables();
  KvBatch batch;
  for (std::uint64_t log = 1; log <= kLogs; ++log) {
    batch.put(Family::queue_state, encode_log_key(LogId(log)),
              encode_log_state({.head = 10,
                                .next = 900,
                                .live_count = 3,
                                .live_bytes = 12,
                                .delivered_mark = 899,
                                .has_due = true,
                                .has_returns = true}));
  }
  commit(batch);
  damage_every_block(Family::queue_state);
  repair_damage(Family::queue_state);
  for (const auto& [log, state] : catalog().states) {
    EXPECT_GT(state.next, kLeap);
    EXPECT_EQ(state.delivered_mark, 30u);
    EXPECT_EQ(state.live_count, 3u);
  }
}

// A start would delete the messages of a queue that it does not know.
TEST_F(TableRepair, OfDefinitionsTheMessagesAreHandedOut) {
  many().in_directory(path_);
  make_tables();
  damage_block(Family::definitions);
  const Repaired repaired = repair_damage(Family::definitions);
  const Catalog found = catalog();
  const std::uint64_t lost = kLogs - found.queue_of_log.size();
  EXPECT_GT(lost, 0u);
  EXPECT_LT(lost, kLogs);
  EXPECT_EQ(found.states.size(), kLogs - lost);
  std::uint64_t chunks = 0;
  for (const QuarantinedRecord& record : repaired.taken) {
    EXPECT_TRUE(record.value.has_value());
    if (record.family == Family::queue_log) ++chunks;
  }
  EXPECT_EQ(chunks, 3 * lost);
}

TEST_F(TableRepair, OfVirtualHostsTheOnesInUseAreDefinedAgain) {
  StoreRecords records;
  records.meta();
  for (int n = 0; n < 300; ++n) {
    records.define(VhostDefinition{fmt::format("host-{:03}-{}", n, std::string(20, 'h'))});
  }
  const std::string first = fmt::format("host-{:03}-{}", 0, std::string(20, 'h'));
  QueueDefinition queue;
  queue.vhost = first;
  queue.name = "queue";
  queue.log = LogId(1);
  queue.durable = true;
  records.define(queue).in_directory(path_);
  make_tables();
  const std::string table = tables_of(Family::definitions).back();
  damage(table, 50);
  damaged_ = std::filesystem::path(table).filename();
  const Repaired repaired = repair_damage(Family::definitions);
  EXPECT_THAT(repaired.actions, Contains(HasSubstr("defined again")));
  const Catalog found = catalog();
  EXPECT_TRUE(check_references(found).empty());
  EXPECT_LT(found.definitions.size(), 301u);
}

TEST_F(TableRepair, OfTheDescriptionLogNumbersAreLeftOut) {
  many().in_directory(path_);
  make_tables();
  damage_block(Family::meta);
  repair_damage(Family::meta);
  const Catalog found = catalog();
  ASSERT_TRUE(found.meta.has_value());
  EXPECT_EQ(found.meta->store_id, kTestStoreId);
  EXPECT_GT(found.meta->log_id_limit, kLeap);
}

TEST_F(TableRepair, OfIndexesAndSpilledMessagesNothingElseChanges) {
  many().in_directory(path_);
  make_tables();
  for (const Family family : {Family::queue_due, Family::queue_returns, Family::spill}) {
    SCOPED_TRACE(kFamilyNames[family_index(family)]);
    const auto before = catalog().states;
    damage_block(family);
    const Repaired repaired = repair_damage(family);
    EXPECT_EQ(repaired.actions.size(), 1u);
    EXPECT_THAT(repaired.taken, IsEmpty());
    EXPECT_TRUE(catalog().states == before);
  }
}

// Every part of a table that is not data can be made again.
TEST_F(TableRepair, OfTheRestOfATableNothingIsLost) {
  many().in_directory(path_);
  make_tables();
  const auto before = catalog().states;
  for (int step = 0; step < 8; ++step) {
    SCOPED_TRACE(step);
    const std::string table = tables_of(Family::queue_log).back();
    const TableScan scanned = scan(table);
    const std::uint64_t rest = std::filesystem::file_size(table) - scanned.data_end;
    damage(table, scanned.data_end + rest * static_cast<std::uint64_t>(step) / 8 + 3);
    damaged_ = std::filesystem::path(table).filename();
    const Repaired repaired = repair_damage(Family::queue_log);
    EXPECT_EQ(repaired.actions.size(), 1u) << repaired.actions[0];
    EXPECT_TRUE(catalog().states == before);
  }
}

TEST_F(TableRepair, TheFileThatCannotBeKeptIsNotTouched) {
  many().in_directory(path_);
  make_tables();
  damage_block(Family::queue_log);
  const auto before = check(Tables::mended);
  RepairOptions options;
  options.keep_table = [](const std::string&) -> Status { return Error{Errc::no_space, "full"}; };
  EXPECT_FALSE(repair_store(path_, options).ok());
  EXPECT_EQ(check(Tables::mended), before);
}

}  // namespace
}  // namespace warren::storage
