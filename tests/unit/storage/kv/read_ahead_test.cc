// SPDX-License-Identifier: Apache-2.0
// A file that is read ahead reads like any other.
#include "storage/kv/read_ahead.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace warren::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kFileBytes = 5'000'000;

char byte_at(std::uint64_t offset) {
  return static_cast<char>((offset * 2654435761u) >> 13);
}

struct Counts {
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<std::uint64_t> bad_from = UINT64_MAX;  // reads that reach this offset fail
};

class MadeUpFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit MadeUpFile(std::shared_ptr<Counts> counts) : counts_(std::move(counts)) {}
  IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions&, Slice* result,
                char* scratch, IODebugContext*) const override {
    const std::uint64_t end = std::min<std::uint64_t>(offset + size, kFileBytes);
    if (end > counts_->bad_from) return IOStatus::IOError("bad");
    for (std::uint64_t at = offset; at < end; ++at) scratch[at - offset] = byte_at(at);
    *result = Slice(scratch, end > offset ? end - offset : 0);
    ++counts_->reads;
    counts_->bytes += result->size();
    return IOStatus::OK();
  }

 private:
  std::shared_ptr<Counts> counts_;  // shared: the file belongs to what reads ahead
};

using File = std::unique_ptr<rocksdb::FSRandomAccessFile>;

class ReadAheadTest : public ::testing::Test {
 protected:
  File open() { return read_ahead(std::make_unique<MadeUpFile>(counts_), pool_); }

  static IOStatus read(const rocksdb::FSRandomAccessFile& file, std::uint64_t offset,
                       std::size_t size) {
    std::string scratch(size, '?');
    Slice got;
    const IOStatus status = file.Read(offset, size, IOOptions(), &got, scratch.data(), nullptr);
    if (!status.ok()) return status;
    const std::uint64_t end = std::min<std::uint64_t>(offset + size, kFileBytes);
    EXPECT_EQ(got.size(), end > offset ? end - offset : 0);
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (got[i] == byte_at(offset + i)) continue;
      ADD_FAILURE() << "at " << offset + i << " of a read at " << offset;
      break;
    }
    return status;
  }
  // In pieces of `size`, each begun on the page that the one before ended on.
  static void read_through(const rocksdb::FSRandomAccessFile& file, std::size_t size) {
    for (std::uint64_t at = 0; at < kFileBytes && !HasFailure(); at += size - kPage) {
      EXPECT_TRUE(read(file, at, size).ok());
    }
  }

  std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
  std::shared_ptr<ReadAheadPool> pool_ = make_read_ahead_pool();
};

TEST_F(ReadAheadTest, FromFrontToBackMostIsReadInLargeSteps) {
  const File file = open();
  read_through(*file, 4 * kPage);
  EXPECT_LT(counts_->reads, kFileBytes / (3 * kPage) / 4);
}

TEST_F(ReadAheadTest, PiecesLargerThanAStep) {
  read_through(*open(), 100 * kPage);
  read_through(*open(), 400 * kPage);
}

TEST_F(ReadAheadTest, HereAndThereNothingIsReadInVain) {
  const File file = open();
  std::mt19937_64 random(1);
  std::uint64_t wanted = 0;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t at = (i * 37 % 600) * 2 * kPage;
    ASSERT_TRUE(read(*file, at, kPage).ok());
    wanted += at >= kFileBytes ? 0 : kPage;
  }
  EXPECT_LE(counts_->bytes, wanted);
}

TEST_F(ReadAheadTest, ManyReadersOfManyFiles) {
  std::vector<File> files;
  for (std::size_t i = 0; i < kReadAheadFilesMax + 3; ++i) files.push_back(open());
  std::vector<std::thread> readers;
  for (unsigned seed = 0; seed < 4; ++seed) {
    readers.emplace_back([&files, seed] {
      std::mt19937_64 random(seed);
      std::vector<std::uint64_t> at(files.size(), 0);
      for (int i = 0; i < 400; ++i) {
        const std::size_t file = random() % files.size();
        if (random() % 30 == 0) at[file] = random() % 1000 * kPage;
        const std::size_t pages = 1 + random() % 20;
        EXPECT_TRUE(read(*files[file], at[file], pages * kPage).ok());
        at[file] += pages * kPage;
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
}

TEST_F(ReadAheadTest, AFileMayGoWhileItIsRead) {
  for (int i = 0; i < 50; ++i) {
    const File file = open();
    for (std::uint64_t at = 0; at < 8 * kPage; at += kPage)
      ASSERT_TRUE(read(*file, at, kPage).ok());
  }
}

TEST_F(ReadAheadTest, OnlyWhoNeedsABadPlaceHearsOfIt) {
  counts_->bad_from = 1'000'000;
  const File file = open();
  std::uint64_t at = 0;
  while (at + kPage <= 1'000'000) {
    ASSERT_TRUE(read(*file, at, kPage).ok()) << at;
    at += kPage;
  }
  EXPECT_FALSE(read(*file, at, kPage).ok());
  counts_->bad_from = UINT64_MAX;
  EXPECT_TRUE(read(*file, at, kPage).ok());
}

}  // namespace
}  // namespace warren::storage
