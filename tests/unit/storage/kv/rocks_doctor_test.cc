// SPDX-License-Identifier: Apache-2.0
// Torn tails open by themselves and cost nothing; changed bytes are refused, never dropped
// silently.
#include "storage/kv/rocks_doctor.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <stdlib.h>

#include "storage/kv/log_scan.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kRecords = 200;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
std::string key_of(int i) {
  return "key" + std::to_string(1000 + i);
}
std::string value_of(int i) {
  return std::string(100 + static_cast<std::size_t>(i) * 7, 'v');
}

class RocksDoctor : public ::testing::Test {
 protected:
  RocksDoctor() {
    std::string pattern = (fs::temp_directory_path() / "warren-doctor-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    const auto kv = open(root_ + "/good");
    EXPECT_NE(kv, nullptr);
    for (int i = 0; i < kRecords; ++i) {
      KvBatch batch;
      batch.put(Family::queue_log, key_of(i), value_of(i));
      EXPECT_TRUE(kv->commit(batch, WriteMode::synced).ok());
    }
    EXPECT_TRUE(kv->close().ok());
  }
  ~RocksDoctor() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  std::unique_ptr<KvStore> open(const std::string& path) {
    auto opened = open_rocks_store(path, {});
    error_ = opened.ok() ? Error{} : opened.error();
    return opened.ok() ? opened.take() : nullptr;
  }
  // A fresh copy to be damaged.
  std::string copy() {
    const std::string path = root_ + "/copy";
    fs::remove_all(path);
    fs::copy(root_ + "/good", path, fs::copy_options::recursive);
    return path;
  }
  static std::string find(const std::string& path, const std::string& start,
                          const std::string& end) {
    std::string found;
    for (const auto& entry : fs::directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(start) && name.ends_with(end) && fs::file_size(entry.path()) > 0) {
        found = entry.path().string();
      }
    }
    return found;
  }
  // How many of the first records are there; every one behind a gap is a failure.
  int count(KvStore& kv) {
    int found = 0;
    for (int i = 0; i < kRecords; ++i) {
      const auto value = kv.get(Family::queue_log, key_of(i));
      if (!value.ok() || !value->has_value()) continue;
      EXPECT_EQ(**value, value_of(i));
      EXPECT_EQ(found, i);
      ++found;
    }
    return found;
  }

  std::string root_;
  Error error_;
};

TEST_F(RocksDoctor, HealthyFilesScanClean) {
  for (const std::string& path :
       {find(root_ + "/good", "", ".log"), find(root_ + "/good", "MANIFEST-", "")}) {
    ASSERT_FALSE(path.empty());
    const std::string content = read_file(path);
    const LogScan scan = scan_log(content);
    EXPECT_EQ(scan.end, LogScan::End::clean);
    EXPECT_EQ(scan.good_bytes, content.size());
  }
  EXPECT_EQ(count(*open(root_ + "/good")), kRecords);
}

// A file that was cut anywhere is a torn one, or ends between two records.
TEST_F(RocksDoctor, CutLogOpensWithAPrefix) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 25; ++round) {
    const std::string path = copy();
    const std::string log = find(path, "", ".log");
    fs::resize_file(log, random() % fs::file_size(log));
    const auto kv = open(path);
    ASSERT_NE(kv, nullptr) << error_.text;
    EXPECT_LT(count(*kv), kRecords);
  }
}

TEST_F(RocksDoctor, LogWithATailOfZerosOpensWithAPrefix) {
  std::mt19937_64 random(12);
  for (int round = 0; round < 25; ++round) {
    const std::string path = copy();
    const std::string log = find(path, "", ".log");
    std::string content = read_file(log);
    const std::size_t sector = random() % (content.size() / 512) * 512;
    std::fill(content.begin() + static_cast<std::ptrdiff_t>(sector), content.end(), '\0');
    write_file(log, content);
    ASSERT_NE(open(path), nullptr) << error_.text;
  }
}

// R18: what RocksDB alone would drop without a word is refused, with file, offset and extent.
TEST_F(RocksDoctor, EveryFlippedBitInTheLogIsRefused) {
  std::mt19937_64 random(13);
  for (int round = 0; round < 400; ++round) {
    const std::string log = find(root_ + "/good", "", ".log");
    std::string content = read_file(log);
    const std::size_t bit = random() % (content.size() * 8);
    content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
    const LogScan scan = scan_log(content);
    // A length that grows beyond the end cannot be told from a record that was cut.
    const bool last = bit / 8 + 4096 > content.size();
    ASSERT_TRUE(scan.end == LogScan::End::corrupt || last) << "bit " << bit;
    if (round >= 10 || scan.end != LogScan::End::corrupt) continue;
    const std::string path = copy();
    write_file(find(path, "", ".log"), content);
    EXPECT_EQ(open(path), nullptr);
    EXPECT_EQ(error_.code, Errc::corruption);
    EXPECT_THAT(error_.text, HasSubstr(".log"));
    EXPECT_THAT(error_.text, HasSubstr("records lie behind"));
  }
}

// R6: a manifest that ends in an edit which was never synced opens, and nothing is lost.
TEST_F(RocksDoctor, TornManifestTailIsCut) {
  const std::string good = read_file(find(root_ + "/good", "MANIFEST-", ""));
  // An edit of 1500 bytes, of which only the first `part` were written.
  std::string edit("\x11\x22\x33\x44", 4);
  edit += std::string("\xDC\x05\x01", 3) + std::string(1500, 'e');
  int torn_ones = 0;
  for (std::size_t part = 1; part < edit.size(); part += 1 + part / 2) {
    for (const bool zeros : {false, true}) {
      const std::string path = copy();
      std::string torn = good + edit.substr(0, part);
      if (zeros) {
        torn = good + edit;
        const std::size_t sector = (good.size() + part + 511) / 512 * 512;
        std::fill(torn.begin() + static_cast<std::ptrdiff_t>(std::min(sector, torn.size())),
                  torn.end(), '\0');
        if (sector + 1 >= torn.size()) continue;
      }
      ++torn_ones;
      write_file(find(path, "MANIFEST-", ""), torn);
      const auto kv = open(path);
      ASSERT_NE(kv, nullptr) << "part " << part << ", zeros " << zeros << ": " << error_.text;
      EXPECT_EQ(count(*kv), kRecords);
    }
  }
  EXPECT_GT(torn_ones, 10);
}

// Of two edits under one sync the first may be missing while the second is there.
TEST_F(RocksDoctor, HoleInTheUnsyncedTailOfTheManifestIsCut) {
  const std::string path = copy();
  const std::string manifest = find(path, "MANIFEST-", "");
  const std::string good = read_file(manifest);
  const std::string hole((good.size() + 511) / 512 * 512 + 512 - good.size(), '\0');
  write_file(manifest, good + hole + good.substr(0, 200));
  const auto kv = open(path);
  ASSERT_NE(kv, nullptr) << error_.text;
  EXPECT_EQ(count(*kv), kRecords);
}

// Damage in the middle of the manifest is not touched, let alone cut.
TEST_F(RocksDoctor, DamagedManifestIsLeftAlone) {
  const std::string path = copy();
  const std::string manifest = find(path, "MANIFEST-", "");
  std::string content = read_file(manifest);
  content[20] = static_cast<char>(content[20] ^ 1);
  write_file(manifest, content);
  EXPECT_TRUE(repair_manifest_tail(path).ok());
  EXPECT_EQ(read_file(manifest), content);
  EXPECT_EQ(open(path), nullptr);
}

TEST_F(RocksDoctor, MissingOptionsFilesAreNoMatter) {
  const std::string path = copy();
  for (std::string name = find(path, "OPTIONS-", ""); !name.empty();
       name = find(path, "OPTIONS-", "")) {
    fs::remove(name);
  }
  const auto kv = open(path);
  ASSERT_NE(kv, nullptr) << error_.text;
  EXPECT_EQ(count(*kv), kRecords);
}

// RocksDB alone would drop what lies behind the bit in the same block.
TEST_F(RocksDoctor, ASalvagedLogLacksTheDamagedRecordAndNoOther) {
  std::mt19937_64 random(15);
  const std::string good = read_file(find(root_ + "/good", "", ".log"));
  ASSERT_GT(good.size(), 65536u);
  const SalvagedLog all = salvage_log(good);
  EXPECT_EQ(all.content, good);
  EXPECT_EQ(all.records, static_cast<std::uint64_t>(kRecords));
  for (int round = 0; round < 150; ++round) {
    std::string content = good;
    const std::size_t bit = random() % (content.size() * 8);
    content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
    if (scan_log(content).end == LogScan::End::clean) continue;  // in the padding of a block
    const SalvagedLog salvaged = salvage_log(content);
    EXPECT_EQ(salvaged.records, all.records - 1) << "bit " << bit;
    EXPECT_NE(scan_log(salvaged.content).end, LogScan::End::corrupt) << "bit " << bit;
    EXPECT_GE(salvaged.content.size(), good.size());
    if (round >= 10) continue;
    const std::string path = copy();
    const std::string log = find(path, "", ".log");
    write_file(log, content);
    const auto records = salvage_log_file(log);
    ASSERT_TRUE(records.ok()) << records.error().text;
    EXPECT_EQ(*records, salvaged.records);
    const auto kv = open(path);
    ASSERT_NE(kv, nullptr) << error_.text;
    int found = 0;
    for (int i = 0; i < kRecords; ++i) {
      const auto value = kv->get(Family::queue_log, key_of(i));
      ASSERT_TRUE(value.ok());
      if (!value->has_value()) continue;
      EXPECT_EQ(**value, value_of(i));
      ++found;
    }
    EXPECT_EQ(found, kRecords - 1);
  }
}

TEST_F(RocksDoctor, EachDamageCostsARecord) {
  std::mt19937_64 random(16);
  const std::string good = read_file(find(root_ + "/good", "", ".log"));
  for (int round = 0; round < 50; ++round) {
    std::string content = good;
    std::set<std::string> damaged;  // in the values: a damaged length may cost its neighbours
    while (damaged.size() < 5) {
      const std::size_t at = good.find(std::string(20, 'v'), random() % good.size());
      const std::size_t key = good.rfind("key", at);
      if (at == std::string::npos || key == std::string::npos) continue;
      content[at + 10] = 'w';
      damaged.insert(good.substr(key, 7));
    }
    EXPECT_EQ(salvage_log(content).records, kRecords - damaged.size());
  }
  EXPECT_EQ(salvage_log(std::string(good.size(), '\0')).records, 0u);
  EXPECT_EQ(salvage_log("").records, 0u);
}

// What a message carries is nobody's record, even if it is the log of a broker.
TEST_F(RocksDoctor, ALogInsideADamagedRecordIsNotTakenForRecords) {
  const std::string inner = read_file(find(root_ + "/good", "", ".log")).substr(0, 3000);
  ASSERT_GT(salvage_log(inner).records, 5u);
  const std::string path = root_ + "/outer";
  {
    const auto kv = open(path);
    ASSERT_NE(kv, nullptr);
    for (int i = 0; i < 3; ++i) {
      KvBatch batch;
      batch.put(Family::queue_log, key_of(i), i == 1 ? inner : value_of(i));
      ASSERT_TRUE(kv->commit(batch, WriteMode::synced).ok());
    }
    ASSERT_TRUE(kv->close().ok());
  }
  std::string content = read_file(find(path, "", ".log"));
  EXPECT_EQ(salvage_log(content).records, 3u);
  const std::size_t at = content.find(inner);
  ASSERT_NE(at, std::string::npos);
  content[at - 1] ^= 1;
  EXPECT_EQ(salvage_log(content).records, 2u);
  content[at - 1] ^= 1;
  const std::size_t second = 7 + static_cast<std::uint8_t>(content[4]);
  content[second + 5] ^= 0x40;  // its length now leads nowhere
  EXPECT_EQ(salvage_log(content).records, 2u);
}

TEST(LogScan, EmptyAndShortFiles) {
  EXPECT_EQ(scan_log("").end, LogScan::End::clean);
  EXPECT_EQ(scan_log("abc").end, LogScan::End::torn);
  EXPECT_EQ(scan_log(std::string(100'000, '\0')).end, LogScan::End::torn);
  EXPECT_EQ(scan_log(std::string(100'000, '\0')).good_bytes, 0u);
}

}  // namespace
}  // namespace warren::storage
