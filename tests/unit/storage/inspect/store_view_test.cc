// SPDX-License-Identifier: Apache-2.0
// A view shows one moment of a store, of a running one too, and changes nothing of it.
#include "storage/inspect/store_view.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <gmock/gmock.h>
#include <unistd.h>

#include "storage/inspect/backup.h"
#include "storage/inspect/catalog.h"
#include "storage/inspect/chunk_walk.h"
#include "storage/inspect/store_check.h"

#include "tests/unit/storage/engine/temp_directory.h"
#include "tests/unit/storage/inspect/damage.h"
#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kEnd(32, '\xFF');

std::map<std::string, std::string> contents_of(const std::string& path) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file()) {
      out[entry.path().string()] = "";
      continue;
    }
    std::ifstream in(entry.path(), std::ios::binary);
    out[entry.path().string()] = {std::istreambuf_iterator<char>(in),
                                  std::istreambuf_iterator<char>()};
  }
  return out;
}

std::size_t count(KvStore& store, Family family) {
  const auto cursor = store.scan(family, {}, kEnd);
  std::size_t records = 0;
  for (; cursor->valid(); cursor->next()) ++records;
  EXPECT_TRUE(cursor->status().ok());
  return records;
}

std::vector<std::string> check(KvStore& store) {
  const auto checked = check_store(store);
  EXPECT_TRUE(checked.ok());
  return checked->problems;
}

class OnDisk : public ::testing::Test {
 protected:
  const TempDirectory dir_;
  const std::string path_ = dir_ / "data";
};

using StoreViewTest = OnDisk;
using Backup = OnDisk;

TEST_F(StoreViewTest, ShowsAStoppedStoreAndLeavesNoTrace) {
  sound_records().in_directory(path_);
  const auto before = contents_of(path_);
  {
    const auto view = open_store_view(path_);
    ASSERT_TRUE(view.ok()) << view.error().text;
    EXPECT_EQ(view->marker.store_id, kTestStoreId);
    EXPECT_EQ(view->marker.format, kStoreFormat);
    EXPECT_FALSE(view->holder.has_value());
    EXPECT_THAT(check(*view->database), IsEmpty());
  }
  EXPECT_EQ(contents_of(path_), before);
}

TEST_F(StoreViewTest, RefusesToWrite) {
  sound_records().in_directory(path_);
  const auto view = open_store_view(path_);
  ASSERT_TRUE(view.ok());
  KvBatch batch;
  batch.put(Family::meta, "x", "y");
  KvStore& store = *view->database;
  EXPECT_FALSE(store.commit(batch, WriteMode::synced).ok());
  EXPECT_FALSE(store.clear(Family::spill).ok());
}

TEST_F(StoreViewTest, NamesTheProcessThatHoldsTheStore) {
  sound_records().in_directory(path_);
  const auto held = StoreDirectory::open(path_);
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(store_holder(path_), static_cast<long>(::getpid()));
}

TEST_F(StoreViewTest, StaysAtItsMomentWhileTheStoreGoesOn) {
  sound_records().in_directory(path_);
  RocksSettings settings;
  settings.write_buffer_bytes = 256 << 10;  // files come and go
  auto running = open_rocks_store(store_database_path(path_), settings);
  ASSERT_TRUE(running.ok());
  std::vector<StoreView> views;
  const std::string block(4000, 'b');
  for (Seq base = 1; base <= 1000; ++base) {
    KvBatch batch;
    batch.put(Family::queue_log, StoreRecords::key(3, base),
              StoreRecords::chunk_value(3, base, {block}));
    if (base > 10) batch.erase_once(Family::queue_log, StoreRecords::key(3, base - 10));
    ASSERT_TRUE((*running)->commit(batch, WriteMode::synced).ok());
    if (base % 250 != 0) continue;
    auto view = open_store_view(path_);
    ASSERT_TRUE(view.ok()) << view.error().text;
    views.push_back(view.take());
  }
  Seq last = 0;
  for (StoreView& view : views) {
    last += 250;
    ChunkWalk walk(*view.database, ChunkKey{LogId(3), 0}, ChunkKey{LogId(4), 0});
    for (Seq base = last - 9; base <= last; ++base, walk.next()) {
      ASSERT_TRUE(walk.valid());
      EXPECT_EQ(walk.chunk().key.base, base);
      EXPECT_EQ(walk.chunk().kind, WalkedChunk::Kind::sound);
    }
    EXPECT_FALSE(walk.valid());
  }
  EXPECT_TRUE((*running)->close().ok());
}

TEST_F(StoreViewTest, ADirectoryThatIsNoStoreIsRefused) {
  EXPECT_EQ(open_store_view(dir_ / "nothing").error().code, Errc::not_a_store);
  fs::create_directory(dir_ / "empty");
  EXPECT_EQ(open_store_view(dir_ / "empty").error().code, Errc::not_a_store);
  EXPECT_TRUE(fs::is_empty(dir_ / "empty"));
  ASSERT_TRUE(create_store_marker(dir_ / "marked", "id").ok());
  EXPECT_EQ(open_store_view(dir_ / "marked").error().code, Errc::not_found);
}

// S7: a flipped bit in a body costs its chunk, is named, and the bytes can still be had.
TEST_F(StoreViewTest, ADamagedBlobIsPassedOverAndSalvaged) {
  StoreRecords records = sound_records();
  for (Seq base = 20; base < 30; ++base) records.chunk(1, base, {std::string(3000, 'x')});
  records.in_directory(path_);
  fill_blobs(path_, 9, 200);
  flip_bit(path_, ".blob");
  const auto view = open_store_view(path_);
  ASSERT_TRUE(view.ok()) << view.error().text;
  ChunkWalk walk(*view->database, ChunkKey{}, ChunkKey{LogId(10), 0});
  int sound = 0;
  int unreadable = 0;
  for (; walk.valid(); walk.next()) {
    const WalkedChunk& chunk = walk.chunk();
    if (chunk.kind == WalkedChunk::Kind::sound) ++sound;
    if (chunk.kind != WalkedChunk::Kind::unreadable) continue;
    ++unreadable;
    const auto bytes = view->database->salvage(Family::queue_log, chunk.raw_key);
    ASSERT_TRUE(bytes.has_value());
    EXPECT_GT(bytes->size(), 3000u);
  }
  EXPECT_EQ(unreadable, 1);
  EXPECT_EQ(sound, 2 + 10 + 200 - 1);
}

TEST_F(Backup, ComesBackAsItWas) {
  sound_records().in_directory(path_);
  auto view = open_store_view(path_);
  ASSERT_TRUE(view.ok());
  const auto made = make_backup(*view, dir_ / "backups", {});
  ASSERT_TRUE(made.ok()) << made.error().text;
  EXPECT_EQ(made->marker.store_id, kTestStoreId);
  ASSERT_TRUE(restore_store(dir_ / "backups", *made, dir_ / "back").ok());
  const auto back = open_store_view(dir_ / "back");
  ASSERT_TRUE(back.ok());
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    const auto one = view->database->scan(family, {}, kEnd);
    const auto other = back->database->scan(family, {}, kEnd);
    for (; one->valid(); one->next(), other->next()) {
      ASSERT_TRUE(other->valid());
      EXPECT_EQ(one->key(), other->key());
      EXPECT_EQ(one->value(), other->value());
    }
    EXPECT_FALSE(other->valid());
  }
}

TEST_F(Backup, EachIsOfItsMomentAndSharesFiles) {
  StoreRecords records = sound_records();
  records.in_directory(path_);
  for (std::uint32_t id = 1; id <= 3; ++id) {
    auto view = open_store_view(path_);
    ASSERT_TRUE(view.ok());
    const auto made = make_backup(*view, dir_ / "backups", {});
    ASSERT_TRUE(made.ok()) << made.error().text;
    EXPECT_EQ(made->id, id);
    StoreRecords more;
    more.chunk(1, 1000 * id, {std::string(100'000, 'm')}).in_directory(path_);
  }
  EXPECT_EQ(read_backups(dir_ / "backups")->size(), 3u);
  for (std::uint32_t id = 1; id <= 3; ++id) {
    const auto backup = find_backup(dir_ / "backups", id);
    ASSERT_TRUE(backup.ok());
    EXPECT_TRUE(verify_backup(dir_ / "backups", id).ok());
    const std::string target = dir_ / ("back" + std::to_string(id));
    ASSERT_TRUE(restore_store(dir_ / "backups", *backup, target).ok());
    const auto view = open_store_view(target);
    EXPECT_EQ(count(*view->database, Family::queue_log), 1 + id);
  }
  ASSERT_TRUE(keep_newest_backups(dir_ / "backups", 1).ok());
  EXPECT_EQ(read_backups(dir_ / "backups")->size(), 1u);
  EXPECT_TRUE(verify_backup(dir_ / "backups", 3).ok());
}

TEST_F(Backup, AFlippedBitIsFound) {
  StoreRecords records = sound_records();
  records.chunk(1, 500, {std::string(50'000, 'x')}).in_directory(path_);
  auto view = open_store_view(path_);
  ASSERT_TRUE(view.ok());
  ASSERT_TRUE(make_backup(*view, dir_ / "backups", {}).ok());
  ASSERT_TRUE(verify_backup(dir_ / "backups", 1).ok());
  flip_bit(dir_ / "backups", ".log");
  EXPECT_FALSE(verify_backup(dir_ / "backups", 1).ok());
}

TEST_F(Backup, WillNotMixStoresNorWriteIntoOne) {
  sound_records().in_directory(path_);
  auto view = open_store_view(path_);
  ASSERT_TRUE(view.ok());
  EXPECT_FALSE(make_backup(*view, path_, {}).ok());
  fs::create_directories(dir_ / "foreign/things");
  EXPECT_THAT(make_backup(*view, dir_ / "foreign", {}).error().text,
              HasSubstr("other things than backups"));
  ASSERT_TRUE(make_backup(*view, dir_ / "backups", {}).ok());
  view->marker.store_id = "another";
  const auto mixed = make_backup(*view, dir_ / "backups", {});
  ASSERT_FALSE(mixed.ok());
  EXPECT_THAT(mixed.error().text, HasSubstr("another store"));
}

TEST_F(Backup, ARestoreNeverOverwrites) {
  sound_records().in_directory(path_);
  auto view = open_store_view(path_);
  const auto made = make_backup(*view, dir_ / "backups", {});
  ASSERT_TRUE(made.ok());
  const auto before = contents_of(path_);
  EXPECT_EQ(restore_store(dir_ / "backups", *made, path_).error().code, Errc::in_use);
  EXPECT_EQ(contents_of(path_), before);
  fs::create_directory(dir_ / "empty");
  EXPECT_TRUE(restore_store(dir_ / "backups", *made, dir_ / "empty/").ok());
  EXPECT_TRUE(open_store_view(dir_ / "empty").ok());
}

}  // namespace
}  // namespace warren::storage
