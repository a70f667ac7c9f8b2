// SPDX-License-Identifier: Apache-2.0
// Of a damaged table everything is found but what the damaged blocks held.
#include "storage/kv/table_scan.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <gmock/gmock.h>

#include "storage/kv/rocks_store.h"
#include "storage/kv/rocks_view.h"

#include "tests/unit/storage/engine/temp_directory.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kRecords = 400;

std::string key_of(int n) {
  std::string key(8, '\0');
  store_big_endian<std::uint64_t>(key.data(), static_cast<std::uint64_t>(n));
  return key;
}
std::string value_of(int n) {
  return std::string(100 + n % 50, static_cast<char>('a' + n % 26));
}

class TableScanTest : public ::testing::Test {
 protected:
  // One table with blocks of 4 KiB.
  void SetUp() override {
    {
      auto store = open_rocks_store(path_, RocksSettings{});
      ASSERT_TRUE(store.ok());
      KvBatch batch;
      for (int n = 0; n < kRecords; ++n) batch.put(Family::definitions, key_of(n), value_of(n));
      batch.erase_range(Family::definitions, key_of(1000), key_of(1001));
      ASSERT_TRUE((*store)->commit(batch, WriteMode::synced).ok());
      ASSERT_TRUE((*store)->close().ok());
    }
    // What is in the write-ahead log becomes a table when it is opened again.
    auto store = open_rocks_store(path_, RocksSettings{});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->close().ok());
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path().extension() == ".sst") table_ = entry.path();
    }
    ASSERT_FALSE(table_.empty());
    std::ifstream in(table_, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }

  TableScan scan() const {
    TableFile file;
    file.bytes = bytes_.size();
    file.read = [this](std::uint64_t offset, std::size_t size) -> Result<std::string> {
      if (offset <= unreadable_ && unreadable_ < offset + size) {
        return Error{Errc::io_error, "it cannot be read"};
      }
      return bytes_.substr(offset, size);
    };
    return scan_table(file);
  }
  void damage(std::uint64_t offset, std::size_t size = 3) {
    for (std::size_t i = 0; i < size; ++i) bytes_[offset + i] ^= 0x5A;
  }

  // What RocksDB finds in the mended table.
  std::map<std::string, std::string> records() {
    {
      std::ofstream out(table_, std::ios::binary | std::ios::trunc);
      out << bytes_;
    }
    std::map<std::string, std::string> out;
    const auto view = open_rocks_view(path_, Tables::mended);
    EXPECT_TRUE(view.ok()) << (view.ok() ? "" : view.error().text);
    if (!view.ok()) return out;
    EXPECT_TRUE((*view)->verify_tables().ok());
    const auto cursor = (*view)->scan(Family::definitions, {}, std::string(9, '\xFF'));
    for (; cursor->valid(); cursor->next()) out.emplace(cursor->key(), cursor->value());
    EXPECT_TRUE(cursor->status().ok()) << cursor->status().error().text;
    for (const auto& [key, value] : out) {
      EXPECT_EQ((*view)->get(Family::definitions, key)->value(), value);
    }
    return out;
  }
  // All but those of [from, to).
  void expect_all_but(int from, int to) {
    const auto found = records();
    for (int n = 0; n < kRecords; ++n) {
      const auto at = found.find(key_of(n));
      if (n >= from && n < to) {
        EXPECT_EQ(at, found.end()) << n;
      } else {
        ASSERT_NE(at, found.end()) << n;
        EXPECT_EQ(at->second, value_of(n));
      }
    }
  }
  static int number(const std::string& key) {
    return static_cast<int>(load_big_endian<std::uint64_t>(key.data()));
  }

  const TempDirectory root_{TempDirectory::Where::memory};
  const std::string path_ = root_ / "db";
  std::string table_;
  std::string bytes_;
  std::uint64_t unreadable_ = UINT64_MAX;
};

TEST_F(TableScanTest, ASoundTableIsSound) {
  const TableScan sound = scan();
  EXPECT_THAT(sound.damage, IsEmpty());
  EXPECT_THAT(sound.holes, IsEmpty());
  EXPECT_EQ(sound.family, "definitions");
  EXPECT_GT(sound.data.size(), 8u);
  EXPECT_TRUE(sound.range_deletions.has_value());
}

TEST_F(TableScanTest, ADamagedDataBlockIsAHoleBetweenItsNeighbours) {
  const TableScan sound = scan();
  for (const std::size_t block : {std::size_t{0}, std::size_t{3}, sound.data.size() - 1}) {
    SCOPED_TRACE(block);
    const std::string before = bytes_;
    damage(sound.data[block].at.offset + 100);
    const TableScan scanned = scan();
    EXPECT_THAT(scanned.damage, ElementsAre(HasSubstr("data block at")));
    ASSERT_EQ(scanned.holes.size(), 1u);
    EXPECT_EQ(scanned.data.size(), sound.data.size() - 1);
    EXPECT_FALSE(scanned.range_deletions_lost);
    const int from = block == 0 ? 0 : number(sound.data[block - 1].separator) + 1;
    const int to = number(sound.data[block].separator) + 1;
    EXPECT_EQ(scanned.holes[0].after.has_value(), block != 0);
    if (block != 0) {
      EXPECT_EQ(number(*scanned.holes[0].after), from - 1);
    }
    if (scanned.holes[0].before.has_value()) {
      EXPECT_EQ(number(*scanned.holes[0].before), to);
    }
    expect_all_but(from, to);
    bytes_ = before;
  }
}

TEST_F(TableScanTest, ABlockThatCannotBeReadIsDamaged) {
  const TableScan sound = scan();
  unreadable_ = sound.data[2].at.offset + 10;
  const TableScan scanned = scan();
  EXPECT_THAT(scanned.damage, ElementsAre(HasSubstr("cannot be read")));
  EXPECT_EQ(scanned.holes.size(), 1u);
  EXPECT_EQ(scanned.data.size(), sound.data.size() - 1);
}

// Wherever a few bytes change, at most what is in one block is lost, and all of that is named.
TEST_F(TableScanTest, DamageAnywhereCostsABlockAtMost) {
  const TableScan sound = scan();
  const std::string before = bytes_;
  for (std::size_t at = 0; at + 3 < before.size(); at += at < sound.data_end ? 997 : 7) {
    SCOPED_TRACE(at);
    bytes_ = before;
    damage(at);
    const TableScan scanned = scan();
    // The padding of the footer means nothing.
    if (scanned.damage.empty()) {
      EXPECT_GT(at, before.size() - 53);
      continue;
    }
    EXPECT_LE(scanned.holes.size(), 2u);
    EXPECT_GE(scanned.data.size() + 2, sound.data.size());
    if (scanned.holes.empty()) {
      EXPECT_EQ(scanned.data.size(), sound.data.size());
    }
    EXPECT_EQ(scanned.range_deletions.has_value(), !scanned.range_deletions_lost);
    const auto mended = mend_table(scanned, bytes_.size());
    SCOPED_TRACE(::testing::PrintToString(scanned.damage));
    ASSERT_TRUE(mended.ok());
    EXPECT_EQ(mended->from + mended->bytes.size(), bytes_.size());
    bytes_.replace(mended->from, mended->bytes.size(), mended->bytes);
    const TableScan again = scan();
    EXPECT_THAT(again.damage, IsEmpty());
    EXPECT_EQ(again.data.size(), scanned.data.size());
  }
}

TEST_F(TableScanTest, IndexListAndFooterCanBeDoneWithout) {
  const TableScan sound = scan();
  const std::string before = bytes_;
  for (const std::size_t back : {std::size_t{10}, std::size_t{60}}) {
    bytes_ = before;
    damage(bytes_.size() - back);
    expect_all_but(0, 0);
  }
  // Somewhere behind the data and the filter lies the index.
  bool index = false;
  for (std::size_t at = sound.data_end; at + 60 < before.size(); at += 40) {
    SCOPED_TRACE(at);
    bytes_ = before;
    damage(at);
    index = index || scan().damage.front().starts_with("index");
    expect_all_but(0, 0);
  }
  EXPECT_TRUE(index);
}

// A sector takes all of it.
TEST_F(TableScanTest, WithoutTheWholeEndDataIsKnownByItsKeys) {
  const TableScan sound = scan();
  damage(bytes_.size() - 512, 512);
  const TableScan scanned = scan();
  EXPECT_EQ(scanned.data.size(), sound.data.size());
  EXPECT_EQ(scanned.data_end, sound.data_end);
  EXPECT_TRUE(scanned.range_deletions_lost);
  expect_all_but(0, 0);
}

TEST_F(TableScanTest, AFileThatIsNoTableIsAllDamaged) {
  for (const std::string& content :
       {std::string(), std::string(30, 'x'), std::string(9000, '\0')}) {
    bytes_ = content;
    const TableScan scanned = scan();
    EXPECT_FALSE(scanned.damage.empty());
    EXPECT_THAT(scanned.data, IsEmpty());
  }
}

}  // namespace
}  // namespace warren::storage
