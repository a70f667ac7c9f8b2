// SPDX-License-Identifier: Apache-2.0
// What the engine relies on, of both implementations.
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <stdlib.h>

#include "storage/kv/memory_store.h"
#include "storage/kv/rocks_crc32c.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Records = std::vector<std::pair<std::string, std::string>>;

class KvStoreTest : public ::testing::TestWithParam<bool> {
 protected:
  KvStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "warren-kv-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
    open();
  }
  ~KvStoreTest() override {
    kv_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  void open() {
    kv_.reset();
    if (GetParam()) {
      auto opened = open_rocks_store(path_ + "/db", {});
      ASSERT_TRUE(opened.ok()) << opened.error().text;
      kv_ = opened.take();
    } else {
      kv_ = std::make_unique<MemoryStore>(disk_);
    }
  }
  Records scan(Family family, Bytes from = "", Bytes to = "\xFF") {
    Records out;
    const auto cursor = kv_->scan(family, from, to);
    for (; cursor->valid(); cursor->next()) out.emplace_back(cursor->key(), cursor->value());
    EXPECT_TRUE(cursor->status().ok());
    return out;
  }
  void commit(const KvBatch& batch, WriteMode mode = WriteMode::synced) {
    const Status status = kv_->commit(batch, mode);
    ASSERT_TRUE(status.ok()) << status.error().text;
  }

  std::string path_;
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  std::unique_ptr<KvStore> kv_;
};

TEST_P(KvStoreTest, PutGetErase) {
  KvBatch batch;
  batch.put(Family::definitions, "a", "1");
  batch.put(Family::queue_state, "a", "2");
  commit(batch);
  EXPECT_EQ(kv_->get(Family::definitions, "a").value(), "1");
  EXPECT_EQ(kv_->get(Family::queue_state, "a").value(), "2");
  EXPECT_EQ(kv_->get(Family::meta, "a").value(), std::nullopt);
  KvBatch erase;
  erase.erase(Family::definitions, "a");
  erase.erase(Family::definitions, "never there");
  commit(erase);
  EXPECT_EQ(kv_->get(Family::definitions, "a").value(), std::nullopt);
}

TEST_P(KvStoreTest, ScanGivesTheRangeInOrder) {
  KvBatch batch;
  for (const char* key : {"d", "a", "c", "b"}) batch.put(Family::queue_log, key, key);
  commit(batch);
  EXPECT_THAT(scan(Family::queue_log, "b", "d"), ElementsAre(Pair("b", "b"), Pair("c", "c")));
  EXPECT_THAT(scan(Family::queue_log, "x", "z"), IsEmpty());
  EXPECT_THAT(scan(Family::queue_log, "c", "b"), IsEmpty());
}

TEST_P(KvStoreTest, CursorSeesOneMoment) {
  KvBatch batch;
  batch.put(Family::queue_log, "a", "1");
  batch.put(Family::queue_log, "b", "1");
  commit(batch);
  const auto cursor = kv_->scan(Family::queue_log, "", "\xFF");
  KvBatch later;
  later.erase_once(Family::queue_log, "b");
  later.put(Family::queue_log, "c", "1");
  commit(later);
  ASSERT_TRUE(cursor->valid());
  cursor->next();
  ASSERT_TRUE(cursor->valid());
  EXPECT_EQ(cursor->key(), "b");
  cursor->next();
  EXPECT_FALSE(cursor->valid());
}

TEST_P(KvStoreTest, BatchesOfOneCommitApplyInOrder) {
  KvBatch first;
  first.put(Family::queue_acks, "k", "1");
  KvBatch second;
  second.erase(Family::queue_acks, "k");
  KvBatch third;
  third.put(Family::queue_acks, "k", "3");
  const std::vector<const KvBatch*> batches = {&first, &second, &third};
  ASSERT_TRUE(kv_->commit(batches, WriteMode::synced).ok());
  EXPECT_EQ(kv_->get(Family::queue_acks, "k").value(), "3");
}

TEST_P(KvStoreTest, EraseRangeLeavesTheEndAlone) {
  KvBatch batch;
  for (const char* key : {"a", "b", "c", "d"}) batch.put(Family::queue_log, key, key);
  commit(batch);
  KvBatch erase;
  erase.erase_once(Family::queue_log, "b");
  erase.erase_range(Family::queue_log, "b", "d");
  commit(erase);
  EXPECT_THAT(scan(Family::queue_log), ElementsAre(Pair("a", "a"), Pair("d", "d")));
}

TEST_P(KvStoreTest, BigValuesComeBackAfterAReopen) {
  const std::string big(3'000'000, 'x');
  KvBatch batch;
  batch.put(Family::queue_log, "big", big);
  commit(batch);
  ASSERT_TRUE(kv_->close().ok());
  open();
  EXPECT_EQ(kv_->get(Family::queue_log, "big").value(), big);
  EXPECT_THAT(scan(Family::queue_log), ElementsAre(Pair("big", big)));
}

TEST_P(KvStoreTest, ClearEmptiesOneFamily) {
  KvBatch spill;
  spill.put(Family::spill, "s", std::string(5000, 's'));
  commit(spill, WriteMode::unlogged);
  KvBatch other;
  other.put(Family::queue_log, "l", "1");
  commit(other);
  ASSERT_TRUE(kv_->clear(Family::spill).ok());
  EXPECT_THAT(scan(Family::spill), IsEmpty());
  EXPECT_THAT(scan(Family::queue_log), ElementsAre(Pair("l", "1")));
  commit(spill, WriteMode::unlogged);
  EXPECT_EQ(scan(Family::spill).size(), 1u);
  ASSERT_TRUE(kv_->close().ok());
  open();
  EXPECT_THAT(scan(Family::queue_log), ElementsAre(Pair("l", "1")));
}

TEST_P(KvStoreTest, ManyWritesAndDeletesSurviveAReopen) {
  const std::string body(20'000, 'b');
  for (int i = 0; i < 3000;) {
    KvBatch batch;
    for (const int end = i + 20; i < end; ++i) {
      batch.put(Family::queue_log, "k" + std::to_string(i), body);
      if (i >= 10) batch.erase_once(Family::queue_log, "k" + std::to_string(i - 10));
    }
    commit(batch, WriteMode::synced);
  }
  EXPECT_EQ(scan(Family::queue_log).size(), 10u);
  ASSERT_TRUE(kv_->close().ok());
  open();
  EXPECT_EQ(scan(Family::queue_log).size(), 10u);
}

INSTANTIATE_TEST_SUITE_P(Both, KvStoreTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? std::string("Rocks") : std::string("Memory");
});

std::uintmax_t bytes_in(const std::string& path) {
  std::uintmax_t bytes = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const auto size = entry.file_size(gone);
    if (entry.path().extension() == ".blob" && !gone) bytes += size;
  }
  return bytes;
}

// R25: a drained queue gives its disk space back, also when nothing is written any more, and also
// when a survivor sits in every file.
TEST(RocksReclaim, DrainedChunksGiveTheirSpaceBack) {
  for (const int survivors : {0, 50}) {
    std::string root = (std::filesystem::temp_directory_path() / "warren-rec-XXXXXX").string();
    root = ::mkdtemp(root.data());
    RocksSettings settings;
    settings.write_buffer_bytes = 1 << 20;
    settings.reclaim_bytes_min = 1 << 20;
    auto kv = open_rocks_store(root + "/db", settings).take();
    const std::string body(20'000, 'b');
    KvBatch batch;
    const auto key = [](int i) { return "k" + std::to_string(100'000 + i); };
    const auto commit = [&] {
      ASSERT_TRUE(kv->commit(batch, WriteMode::synced).ok());
      batch = KvBatch();
    };
    constexpr int kChunks = 1000;
    for (int i = 0; i < kChunks; ++i) {
      batch.put(Family::queue_log, key(i), body);
      if (i % 10 == 9) commit();
    }
    const std::uintmax_t full = bytes_in(root + "/db");
    EXPECT_GT(full, 15u << 20);
    for (int i = 0; i < kChunks; ++i) {
      const bool survives = survivors != 0 && i % (kChunks / survivors) == 0;
      if (!survives) batch.erase_once(Family::queue_log, key(i));
      if (i % 10 == 9) commit();
    }
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (bytes_in(root + "/db") > full / 4 && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_LE(bytes_in(root + "/db"), full / 4) << survivors << " survivors";
    int found = 0;
    const auto cursor = kv->scan(Family::queue_log, "", "\xFF");
    for (auto& at = *cursor; at.valid(); at.next()) {
      EXPECT_EQ(at.value(), body);
      ++found;
    }
    EXPECT_EQ(found, survivors);
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
}

TEST(KvBatch, SpliceMovesEverything) {
  KvBatch a;
  a.put(Family::meta, "k", "v");
  KvBatch b;
  b.erase(Family::meta, "x");
  b.splice(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(a.bytes(), 0u);
  EXPECT_EQ(b.ops().size(), 2u);
  EXPECT_EQ(b.bytes(), 3u);
}

TEST(MemoryDisk, LosesWhatWasNotSynced) {
  auto disk = std::make_shared<MemoryDisk>();
  MemoryStore kv(disk);
  const auto put = [&](const char* key, WriteMode mode) {
    KvBatch batch;
    batch.put(Family::queue_log, key, key);
    ASSERT_TRUE(kv.commit(batch, mode).ok());
  };
  put("a", WriteMode::synced);
  put("b", WriteMode::unlogged);
  put("c", WriteMode::synced);
  EXPECT_EQ(disk->key_count(Family::queue_log), 3u);
  disk->lose_unsynced();
  EXPECT_THAT(disk->records(Family::queue_log), ElementsAre(Pair("a", "a"), Pair("c", "c")));
}

TEST(MemoryDisk, FailsWhenTold) {
  auto disk = std::make_shared<MemoryDisk>();
  MemoryStore kv(disk);
  disk->fail_after(1, true);
  const auto put = [&](const char* key) {
    KvBatch batch;
    batch.put(Family::queue_log, key, key);
    return kv.commit(batch, WriteMode::synced).ok();
  };
  EXPECT_TRUE(put("a"));
  EXPECT_FALSE(put("b"));  // fails, and is there all the same
  EXPECT_FALSE(put("c"));
  disk->lose_unsynced();
  EXPECT_EQ(disk->key_count(Family::queue_log), 2u);
}

// A RocksDB that is built another way would fall back to tables without a word.
TEST(RocksCrc32c, IsOurs) {
  EXPECT_TRUE(rocks_crc32c_is_fast());
  EXPECT_EQ(rocksdb::crc32c::Extend(0, "123456789", 9), 0xE3069283u);
}

}  // namespace
}  // namespace warren::storage
