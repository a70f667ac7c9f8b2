// SPDX-License-Identifier: Apache-2.0
// A quiet moment is found in a directory that never rests, whatever its files hold.
#include "storage/kv/pinned_fs.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <stdlib.h>

#include "storage/base/units.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;

class PinnedFsTest : public ::testing::Test {
 protected:
  PinnedFsTest() {
    std::string pattern = (fs::temp_directory_path() / "warren-pinned-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    database_ = root_ + "/db";
  }
  ~PinnedFsTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  // Looks while `work` is done again and again.
  template <typename Work>
  Result<std::shared_ptr<PinnedFs>> take_beside(Work work) {
    std::atomic<bool> stopping = false;
    std::thread other([&] {
      while (!stopping) work();
    });
    auto files = PinnedFs::take(database_);
    stopping = true;
    other.join();
    return files;
  }

  std::string root_;
  std::string database_;
};

TEST_F(PinnedFsTest, AManifestThatGrowsMayBeLarge) {
  constexpr std::uint64_t kBytes = 32_MiB;  // reading it takes longer than it rests
  fs::create_directory(database_);
  std::ofstream(database_ + "/CURRENT") << "MANIFEST-000001\n";
  std::ofstream manifest(database_ + "/MANIFEST-000001", std::ios::binary);
  manifest << std::string(kBytes, '\0') << std::flush;
  const auto files = take_beside([&manifest] {
    manifest << std::string(1, '\0') << std::flush;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  ASSERT_TRUE(files.ok()) << files.error().text;
  EXPECT_GE((*files)->manifest_bytes_cut(), kBytes);
}

TEST_F(PinnedFsTest, ADamagedLogMayGoOn) {
  auto opened = open_rocks_store(database_, RocksSettings{});
  ASSERT_TRUE(opened.ok()) << opened.error().text;
  const std::unique_ptr<KvStore> store = opened.take();
  KvBatch batch;
  batch.put(Family::meta, "key", std::string(1_KiB, 'v'));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store->commit(batch, WriteMode::synced).ok());
  for (const auto& entry : fs::directory_iterator(database_)) {
    if (entry.path().extension() != ".log" || entry.file_size() < 100_KiB) continue;
    std::fstream log(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    log.seekp(500);
    log.put('!');
  }
  KvBatch small;  // the damage stays near the end
  small.put(Family::meta, "key", "v");
  const auto files = take_beside([&store, &small] {
    EXPECT_TRUE(store->commit(small, WriteMode::synced).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  ASSERT_TRUE(files.ok()) << files.error().text;
  EXPECT_GT((*files)->wal_bytes(), 100_KiB);
  EXPECT_TRUE(store->close().ok());
}

}  // namespace
}  // namespace warren::storage
