// SPDX-License-Identifier: Apache-2.0
// A view of a database whose files come and go as fast as they can is of one moment, each time.
#include "storage/kv/rocks_view.h"

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <stdlib.h>

#include "storage/kv/rocks_store.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;

// Commit n puts its number in one family, its record in another, and takes out that of n - kKept.
constexpr std::uint64_t kKept = 20;
constexpr int kViews = 60;
constexpr std::uint64_t kCommits = 600;

std::string key_of(std::uint64_t n) {
  std::string key(8, '\0');
  store_big_endian(key.data(), n);
  return key;
}

class Writer {
 public:
  explicit Writer(const std::string& path) {
    RocksSettings settings;
    settings.write_buffer_bytes = 64 << 10;  // a flush every few commits
    settings.reclaim_erases = 20;
    settings.reclaim_bytes_min = 0;
    auto opened = open_rocks_store(path, settings);
    EXPECT_TRUE(opened.ok());
    store_ = opened.take();
    commit();
    thread_ = std::thread([this] {
      while (!stopping_) commit();
    });
  }
  ~Writer() {
    stopping_ = true;
    thread_.join();
    EXPECT_TRUE(store_->close().ok());
  }
  std::uint64_t committed() const { return committed_; }

 private:
  void commit() {
    const std::uint64_t n = committed_ + 1;
    KvBatch batch;
    batch.put(Family::meta, "number", key_of(n));
    batch.put(Family::queue_log, key_of(n), std::string(500 + n % 9000, static_cast<char>(n)));
    if (n > kKept) batch.erase_once(Family::queue_log, key_of(n - kKept));
    EXPECT_TRUE(store_->commit(batch, WriteMode::synced).ok());
    committed_ = n;
  }

  std::unique_ptr<KvStore> store_;
  std::atomic<std::uint64_t> committed_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

void expect_one_moment(KvStore& view, std::uint64_t at_least) {
  const auto number = view.get(Family::meta, "number");
  ASSERT_TRUE(number.ok() && number->has_value());
  const auto n = load_big_endian<std::uint64_t>((*number)->data());
  EXPECT_GE(n, at_least) << "a commit that was reported is missing";
  const auto cursor = view.scan(Family::queue_log, {}, std::string(16, '\xFF'));
  for (std::uint64_t i = n > kKept ? n - kKept + 1 : 1; i <= n; ++i, cursor->next()) {
    ASSERT_TRUE(cursor->valid()) << cursor->status().ok();
    ASSERT_EQ(cursor->key(), key_of(i));
    ASSERT_EQ(cursor->value(), std::string(500 + i % 9000, static_cast<char>(i)));
  }
  EXPECT_FALSE(cursor->valid());
  EXPECT_TRUE(cursor->status().ok());
}

class RocksViewTest : public ::testing::Test {
 protected:
  RocksViewTest() {
    std::string pattern = (fs::temp_directory_path() / "warren-view-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
  }
  ~RocksViewTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  std::string root_;
};

TEST_F(RocksViewTest, IsOfOneMomentHoweverFastFilesComeAndGo) {
  Writer writer(root_ + "/db");
  // Until there were enough of both.
  for (int i = 0; (i < kViews || writer.committed() < kCommits) && !HasFailure(); ++i) {
    const std::uint64_t before = writer.committed();
    const auto view = open_rocks_view(root_ + "/db");
    ASSERT_TRUE(view.ok()) << view.error().text;
    expect_one_moment(**view, before);
  }
}

TEST_F(RocksViewTest, ABackupIsOfTheMomentOfItsView) {
  Writer writer(root_ + "/db");
  for (std::uint32_t id = 1; id <= 5 && !HasFailure(); ++id) {
    const std::uint64_t before = writer.committed();
    const auto view = open_rocks_view(root_ + "/db");
    ASSERT_TRUE(view.ok()) << view.error().text;
    const auto backup = (*view)->create_backup(root_ + "/backups", "note", {});
    ASSERT_TRUE(backup.ok()) << backup.error().text;
    ASSERT_EQ(*backup, id);
    EXPECT_TRUE(verify_backup(root_ + "/backups", id).ok());
    const std::string target = root_ + "/restored" + std::to_string(id);
    fs::create_directory(target);
    ASSERT_TRUE(restore_backup(root_ + "/backups", id, target).ok());
    const auto restored = open_rocks_store(target, RocksSettings{});
    ASSERT_TRUE(restored.ok()) << restored.error().text;
    expect_one_moment(**restored, before);
    EXPECT_TRUE((*restored)->close().ok());
  }
}

}  // namespace
}  // namespace warren::storage
