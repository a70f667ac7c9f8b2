// SPDX-License-Identifier: Apache-2.0
// A compaction meets a damaged table, one of RocksDB's own or one that is to give back space: the
// store names it, meets it no more, and goes on taking writes and giving back everything else (S7).
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "storage/kv/rocks_store.h"
#include "storage/record/keys.h"

#include "tests/damage/child.h"
#include "tests/unit/storage/engine/temp_directory.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;

constexpr auto kWaitMax = std::chrono::seconds(40);
constexpr std::size_t kValueBytes = 900;     // stays in the table
constexpr std::size_t kSpilledBytes = 2000;  // goes to a blob file
constexpr int kPasses = 3;

class DamagedTable : public ::testing::Test {
 protected:
  enum class Met : std::uint8_t { by_writing, by_reclaiming };

  std::unique_ptr<KvStore> open(bool reclaims) {
    RocksSettings settings;
    settings.write_buffer_bytes = 128 << 10;
    if (reclaims) {
      settings.reclaim_erases = 1;
      settings.reclaim_bytes_min = 0;
    }
    auto opened = open_rocks_store(path_, settings);
    return opened.ok() ? opened.take() : nullptr;
  }

  // A table each time that it fills the write buffer. Each one spans all three logs, so that no
  // table can be moved down without being read.
  static bool put_some(KvStore& kv, LogId log, Seq from, Seq to) {
    for (Seq seq = from; seq < to; ++seq) {
      KvBatch batch;
      for (const LogId each : {LogId(1), log, LogId(3)}) {
        batch.put(Family::queue_log, encode_chunk_key({each, seq}),
                  std::string(kValueBytes, static_cast<char>('a' + seq % 26)));
      }
      if (!kv.commit(batch, WriteMode::synced).ok()) return false;
    }
    return true;
  }

  std::string make() {
    const auto kv = open(false);
    if (kv == nullptr) return "cannot make it";
    // Tables are written in the background, one after the other: beside a second one the first is
    // whole.
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    for (Seq seq = 1; tables().size() < 2; seq += 50) {
      if (std::chrono::steady_clock::now() > deadline) return "no table";
      if (!put_some(*kv, LogId(4), seq, seq + 50)) return "a write failed";
    }
    return "made";
  }

  // The oldest first.
  std::set<std::string> tables() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path();
      if (entry.path().extension() == ".sst" && entry.file_size() > 20'000) {
        found.insert(name);
      }
    }
    return found;
  }

  // In the middle of the first data block of the oldest table.
  std::string flip() const {
    const auto found = tables();
    if (found.empty()) return "no table";
    std::fstream stream(*found.begin(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(500);
    stream.put('\x7F');
    return "flipped";
  }

  static std::string text_of(const std::string& file) {
    std::ifstream in(file);
    return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  }
  std::string said() const { return text_of(log_); }
  bool met() const { return said().find("table damaged") != std::string::npos; }

  static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
    return found;
  }

  std::size_t blobs() const {
    std::size_t found = 0;
    for (const auto& entry : fs::directory_iterator(path_)) {
      found += entry.path().extension() == ".blob" ? 1 : 0;
    }
    return found;
  }

  // Erases, so that space is to be given back, until that was gone through: the spill comes last,
  // and has a blob file more then.
  bool reclaim_once(KvStore& kv, Seq seq) const {
    const std::size_t before = blobs();
    KvBatch batch;
    batch.erase_once(Family::queue_log, encode_chunk_key({LogId(4), seq}));
    batch.put(Family::spill, encode_chunk_key({LogId(4), seq}), std::string(kSpilledBytes, 's'));
    if (!kv.commit(batch, WriteMode::synced).ok()) return false;
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    while (blobs() == before) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      // It is with a commit that a damaged family is set aside.
      if (!kv.commit(KvBatch(), WriteMode::synced).ok()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  // Goes on until a compaction has met the damage, then some more; what came of it.
  std::string go_on(Met how) {
    const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    const auto kv = open(true);
    if (kv == nullptr) return "does not open";
    std::atomic<bool> failed = false;
    kv->on_background_error([&](const Error&) { failed = true; });
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    Seq seq = 1000;
    Seq erased = 1;
    while (!met()) {
      if (std::chrono::steady_clock::now() > deadline) return "no compaction met it";
      if (how == Met::by_reclaiming) {
        if (!reclaim_once(*kv, erased++)) return "no space is given back";
        continue;
      }
      if (!put_some(*kv, LogId(2), seq, seq + 50)) return "a write failed";
      seq += 50;
    }
    for (int pass = 0; pass < kPasses; ++pass) {
      if (!reclaim_once(*kv, erased++)) return "no space is given back afterwards";
    }
    if (!put_some(*kv, LogId(2), seq, seq + 500)) return "a write failed afterwards";
    if (failed) return "the store gave up";
    std::size_t found = 0;
    const auto cursor = kv->scan(Family::queue_log, encode_chunk_key({LogId(2), 0}),
                                 encode_chunk_key({LogId(3), 0}));
    for (; cursor->valid(); cursor->next()) ++found;
    if (!cursor->status().ok()) return cursor->status().error().text;
    return fmt::format("{} of {} are there", found, seq + 500 - 1000);
  }

  void expect_named_and_left_alone(Met how) {
    ASSERT_EQ(test::run_in_child([this] { return make(); }).said, "made");
    ASSERT_EQ(flip(), "flipped");
    const test::ChildEnd end = test::run_in_child([this, how] { return go_on(how); });
    EXPECT_TRUE(end.well()) << end.how << "\n" << said();
    std::size_t there = 0;
    std::size_t all = 0;
    ASSERT_EQ(std::sscanf(end.said.c_str(), "%zu of %zu are there", &there, &all), 2) << end.said;
    EXPECT_EQ(there, all);
    EXPECT_GE(there, 500u);
    // Once, with the file.
    EXPECT_EQ(count(said(), "table damaged"), 1u);
    EXPECT_THAT(said(), ::testing::HasSubstr(".sst"));
    // In RocksDB's own words. One more may have been under way when the first one met it.
    const std::size_t times = count(text_of(path_ + "/LOG"), "Compaction error: Corruption");
    EXPECT_GE(times, 1u);
    EXPECT_LE(times, 2u);
  }

  const TempDirectory root_{TempDirectory::Where::memory};
  const std::string path_ = root_ / "db";
  const std::string log_ = root_ / "log";
};

TEST_F(DamagedTable, IsNamedAndLeftAlone) {
  expect_named_and_left_alone(Met::by_writing);
}

TEST_F(DamagedTable, IsLeftAloneAlsoByWhatGivesBackSpace) {
  expect_named_and_left_alone(Met::by_reclaiming);
}

}  // namespace
}  // namespace warren::storage
