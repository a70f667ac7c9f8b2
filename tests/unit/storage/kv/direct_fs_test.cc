// SPDX-License-Identifier: Apache-2.0
// What is in a file that is written past the page cache, at any moment at which it was synced.
#include "storage/kv/direct_fs.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <stdlib.h>

namespace warren::storage {
namespace {

namespace fs = std::filesystem;
using rocksdb::IOOptions;

constexpr std::size_t kPageBytes = 4096;

class DirectFsTest : public ::testing::Test {
 protected:
  DirectFsTest() {
    std::string pattern = (fs::temp_directory_path() / "warren-direct-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs_ = std::make_shared<DirectFs>(rocksdb::FileSystem::Default());
  }
  ~DirectFsTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  std::unique_ptr<rocksdb::FSWritableFile> create(const std::string& name) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const auto status = fs_->NewWritableFile(path(name), rocksdb::FileOptions(), &file, nullptr);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return file;
  }
  void append(rocksdb::FSWritableFile& file, std::size_t bytes) {
    std::string data(bytes, '\0');
    for (char& c : data) c = static_cast<char>(1 + random_() % 255);
    ASSERT_TRUE(file.Append(data, IOOptions(), nullptr).ok());
    written_ += data;
  }
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string content(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::string root_;
  std::shared_ptr<DirectFs> fs_;
  std::mt19937_64 random_{1};
  std::string written_;
};

// S3: what was synced is in the file. What follows is zeros, enough of them for RocksDB to take
// them for the end.
TEST_F(DirectFsTest, ASyncedLogHoldsWhatWasAppendedAndZeros) {
  const auto file = create("000001.log");
  for (int i = 0; i < 120 && !HasFailure(); ++i) {
    // Now and then up to just before the end of a page, where zeros are short.
    const std::size_t to_page_end = kPageBytes - written_.size() % kPageBytes;
    const std::size_t bytes = i % 3 == 0
                                  ? to_page_end + kPageBytes * (random_() % 12) - random_() % 9
                              : i % 100 == 7 ? 1'200'000
                                             : random_() % 9000;
    append(*file, bytes);
    ASSERT_TRUE(file->Sync(IOOptions(), nullptr).ok());
    ASSERT_EQ(file->GetFileSize(IOOptions(), nullptr), written_.size());
    const std::string found = content("000001.log");
    ASSERT_EQ(found.substr(0, written_.size()), written_);
    const std::string rest = found.substr(written_.size());
    ASSERT_EQ(rest, std::string(rest.size(), '\0'));
    ASSERT_TRUE(rest.size() >= 7 || found.size() % 32768 == 0) << found.size();
  }
  ASSERT_TRUE(file->Close(IOOptions(), nullptr).ok());
  EXPECT_EQ(content("000001.log"), written_);
}

TEST_F(DirectFsTest, SmallSyncsOfALogLeaveItsSizeAlone) {
  const auto file = create("000001.log");
  std::uintmax_t size = 0;
  int changes = 0;
  for (int i = 0; i < 200; ++i) {
    append(*file, 1000);
    ASSERT_TRUE(file->Sync(IOOptions(), nullptr).ok());
    if (fs::file_size(path("000001.log")) != size) ++changes;
    size = fs::file_size(path("000001.log"));
  }
  EXPECT_EQ(changes, 1);
  ASSERT_TRUE(file->Close(IOOptions(), nullptr).ok());
}

TEST_F(DirectFsTest, ATableHasItsSizeOnceItIsSynced) {
  for (const char* const name : {"000001.sst", "000002.blob"}) {
    written_.clear();
    const auto file = create(name);
    for (int i = 0; i < 100; ++i) append(*file, random_() % 50'000);
    ASSERT_TRUE(file->Fsync(IOOptions(), nullptr).ok());
    EXPECT_EQ(content(name), written_);
    append(*file, 10);
    ASSERT_TRUE(file->Fsync(IOOptions(), nullptr).ok());
    EXPECT_EQ(content(name), written_);
    ASSERT_TRUE(file->Close(IOOptions(), nullptr).ok());
    EXPECT_EQ(content(name), written_);
  }
}

// RocksDB leaves out the sync of a file that says it writes directly.
TEST_F(DirectFsTest, SaysNothingOfIt) {
  for (const char* const name : {"000001.log", "000002.sst", "000003.blob", "MANIFEST-000004"}) {
    EXPECT_FALSE(create(name)->use_direct_io()) << name;
  }
}

TEST_F(DirectFsTest, FilesThatAreNotClosedEndInZeros) {
  auto file = create("000001.sst");
  append(*file, 2'000'000);
  file.reset();
  const std::string found = content("000001.sst");
  EXPECT_EQ(found, written_.substr(0, found.size()));
}

// What fails after so many writes, and counts them.
class FailingFs final : public rocksdb::FileSystemWrapper {
 public:
  FailingFs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FailingFs"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override {
    std::unique_ptr<rocksdb::FSWritableFile> below;
    const auto status = target()->NewWritableFile(path, options, &below, dbg);
    if (status.ok()) *file = std::make_unique<File>(*this, std::move(below));
    return status;
  }

  int writes = 0;
  int good_writes = 0;
  int good_syncs = 0;

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(FailingFs& fs, std::unique_ptr<rocksdb::FSWritableFile> below)
        : FSWritableFileOwnerWrapper(std::move(below)), fs_(fs) {}
    rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, std::uint64_t offset,
                                       const IOOptions& options,
                                       rocksdb::IODebugContext* dbg) override {
      ++fs_.writes;
      if (fs_.good_writes-- <= 0) return rocksdb::IOStatus::IOError("no");
      return target()->PositionedAppend(data, offset, options, dbg);
    }
    rocksdb::IOStatus Sync(const IOOptions& options, rocksdb::IODebugContext* dbg) override {
      if (fs_.good_syncs-- <= 0) return rocksdb::IOStatus::IOError("no");
      return target()->Sync(options, dbg);
    }

   private:
    FailingFs& fs_;  // borrowed: outlives the file
  };
};

// S10.
TEST_F(DirectFsTest, NothingIsWrittenAfterAFailure) {
  for (const bool sync_fails : {false, true}) {
    FailingFs below;
    below.good_writes = sync_fails ? 100 : 1;
    below.good_syncs = sync_fails ? 0 : 100;
    const std::shared_ptr<FailingFs> borrowed(&below, [](FailingFs*) {});  // for the wrapper
    fs_ = std::make_shared<DirectFs>(borrowed);
    const auto file = create("000001.log");
    append(*file, 100);
    EXPECT_FALSE(file->Sync(IOOptions(), nullptr).ok());
    const int writes = below.writes;
    below.good_writes = below.good_syncs = 100;
    EXPECT_FALSE(file->Sync(IOOptions(), nullptr).ok());
    append(*file, 100);
    EXPECT_FALSE(file->Sync(IOOptions(), nullptr).ok());
    static_cast<void>(file->Close(IOOptions(), nullptr));
    EXPECT_EQ(below.writes, writes);
  }
}

TEST_F(DirectFsTest, AsksTheDirectory) {
  EXPECT_FALSE(takes_direct_writes(root_ + "/none"));
  EXPECT_FALSE(takes_direct_writes("/proc"));
  static_cast<void>(takes_direct_writes(root_));
  EXPECT_TRUE(fs::is_empty(root_));
}

}  // namespace
}  // namespace warren::storage
