// SPDX-License-Identifier: Apache-2.0
// One bit of a store's files flips: it is harmless, or announced; never is a wrong byte delivered,
// never is a message missing without a word (S7). WARREN_SEED=n repeats one flip.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "storage/kv/rocks_options.h"

#include "tests/damage/child.h"
#include "tests/support/counted.h"
#include "tests/unit/storage/engine/store_driver.h"
#include "tests/unit/storage/engine/temp_directory.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;
using test::ChildEnd;

constexpr Seq kMessages = 600;
constexpr int kRounds = 300;

// A directory as it is.
class PlainDisk final : public TestDisk {
 public:
  explicit PlainDisk(std::string path) : path_(std::move(path)) {}
  std::unique_ptr<KvStore> open() override {
    RocksSettings settings;
    settings.write_buffer_bytes = 128 << 10;
    auto opened = open_rocks_store(path_, settings);
    if (opened.ok()) return opened.take();
    error = opened.error();
    return nullptr;
  }
  void lose_power() override {}

  Error error;

 private:
  const std::string path_;
};

// Small ones lie in the tables, others in blob files; some of each chunk are settled.
std::string body_of(const std::string& queue, Seq seq) {
  const std::size_t filling = queue == "small" ? seq % 90 : 1000 + seq * 7 % 3000;
  return fmt::format("{}/{}/", queue, seq) +
         std::string(filling, static_cast<char>('a' + seq % 26));
}
bool is_settled(Seq seq) {
  return seq % 7 == 3;
}

std::string make_store(const std::string& path) {
  StoreOptions options;
  options.chunk_bytes_max = 800;
  StoreDriver driver(options, std::make_unique<PlainDisk>(path));
  std::vector<std::pair<std::string, QueueLog*>> logs;
  for (const std::string name : {"small", "large"}) {
    logs.emplace_back(name, &driver.define_queue(name));
  }
  driver.settle_down();
  for (Seq seq = 1; seq <= kMessages; ++seq) {
    for (const auto& [name, log] : logs) {
      log->append(seq, block_of(body_of(name, seq)), Durability::durable, nullptr);
    }
    if (seq % 5 != 0) continue;
    driver.settle_down();
    for (Seq old = seq - 4; old <= seq; ++old) {
      if (!is_settled(old)) continue;
      for (const auto& [name, log] : logs) log->settle(old, body_of(name, old).size());
    }
  }
  driver.settle_down();
  return ::testing::Test::HasFailure() ? "cannot make the store" : "made";
}

// Reads what is there: "refused: WHY", "wrong: WHAT", or "missing M announced A".
std::string read_store(const std::string& path) {
  auto disk = std::make_unique<PlainDisk>(path);
  auto kv_opened = disk->open();
  if (kv_opened == nullptr) return "refused: " + disk->error.text;
  KvStore& kv = *kv_opened;
  auto opened = StoreImpl::open_on(std::move(kv_opened), "test-store", {}, Drive::steps);
  if (!opened.ok()) return "refused: " + opened.error().text;
  const auto store = opened.take();
  std::map<LogId, std::string> names;
  for (const Definition& definition : store->take_definitions()) {
    const auto& queue = std::get<QueueDefinition>(definition);
    names[queue.log] = queue.name;
  }
  if (names.size() != 2) return fmt::format("wrong: {} queues", names.size());
  std::uint64_t missing = 0;
  std::uint64_t announced = 0;
  for (const LogState& state : store->take_log_states()) {
    const std::string& name = names.at(state.id);
    ReadRequest request;
    request.log = state.id;
    request.from = state.head;
    request.to = state.next;
    request.bytes_hint = SIZE_MAX;
    const auto read = read_log(kv, request);
    if (!read.ok()) {
      // The queue cannot be read on: said so, and every other one can.
      if (read.error().text.find(path) == std::string::npos) return "wrong: " + read.error().text;
      ++announced;
      continue;
    }
    announced += read->damaged + (read->acks_damaged ? 1 : 0);
    std::map<Seq, std::string> found;
    for (const StoredMessage& message : read->messages) found[message.seq] = text_of(message);
    for (const auto& [seq, body] : found) {
      if (body != body_of(name, seq)) return fmt::format("wrong: body {} of {}", seq, name);
      if (is_settled(seq) && !read->acks_damaged) return fmt::format("wrong: {} is back", seq);
    }
    for (Seq seq = 1; seq <= kMessages; ++seq) {
      if (!is_settled(seq) && !found.contains(seq)) ++missing;
    }
  }
  return fmt::format("missing {} announced {}", missing, announced);
}

struct Tally {
  int harmless = 0;
  int announced = 0;
  int refused = 0;
  int aborted = 0;
};

constexpr const char* kNothingMissing = "missing 0 announced 0";

class FlippedBits : public ::testing::Test {
 protected:
  void SetUp() override {
    good_ = root_ / "good";
    const ChildEnd made = test::run_in_child([this] { return make_store(good_); });
    ASSERT_EQ(made.said, "made") << made.how;
    // Without a flip nothing is missing and nothing is announced.
    const std::string copy = copy_good();
    const ChildEnd control = test::run_in_child([&] { return read_store(copy); });
    ASSERT_EQ(control.said, kNothingMissing) << control.how;
    for (const auto& entry : fs::directory_iterator(good_)) {
      const std::string name = entry.path().filename();
      if (entry.file_size() > 0) kinds_[kind_of(name)].push_back(name);
    }
    for (const char* const kind : {".log", ".sst", ".blob", "MANIFEST", "CURRENT"}) {
      ASSERT_TRUE(kinds_.contains(kind)) << kind;
    }
  }

  static std::string kind_of(const std::string& name) {
    if (name.starts_with("MANIFEST")) return "MANIFEST";
    const std::string extension = fs::path(name).extension();
    return extension.empty() ? name : extension;
  }

  // A start changes a store: each reader gets its own.
  std::string copy_good() {
    const std::string path = root_ / "flipped";
    fs::remove_all(path);
    fs::copy(good_, path);
    return path;
  }

  // Flips a bit drawn from the seed in a file of the kind; what comes of it.
  void flip_one(const std::string& kind, std::uint64_t seed, Tally& tally) {
    std::mt19937_64 random(seed);
    const auto& files = kinds_.at(kind);
    const std::string name = files[random() % files.size()];
    const std::string path = copy_good();
    const std::string file = path + "/" + name;
    const std::uint64_t bit = random() % (fs::file_size(file) * 8);
    {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(static_cast<std::streamoff>(bit / 8));
      const char byte = static_cast<char>(stream.get() ^ (1 << (bit % 8)));
      stream.seekp(static_cast<std::streamoff>(bit / 8));
      stream.put(byte);
    }
    const ChildEnd end = test::run_in_child([&] { return read_store(path); });
    SCOPED_TRACE(
        fmt::format("WARREN_SEED={}: {} bit {}: {}, {}", seed, name, bit, end.how, end.said));
    if (end.aborted()) {
      ++tally.aborted;
    } else if (!end.well()) {
      ADD_FAILURE() << "neither an answer nor an assertion";
    } else if (end.said.starts_with("refused: ")) {
      // Whoever has to repair it learns where. Of the version in a table's footer and the order of
      // its properties RocksDB does not say it.
      EXPECT_THAT(end.said, ::testing::AnyOf(::testing::HasSubstr(path),
                                             ::testing::HasSubstr("format_version"),
                                             ::testing::HasSubstr("properties unsorted")));
      ++tally.refused;
    } else if (end.said == kNothingMissing) {
      ++tally.harmless;
    } else {
      EXPECT_TRUE(end.said.starts_with("missing ") && !end.said.ends_with("announced 0"));
      ++tally.announced;
    }
  }

  TempDirectory root_{TempDirectory::Where::memory};
  std::string good_;
  std::map<std::string, std::vector<std::string>> kinds_;
};

TEST_F(FlippedBits, AreHarmlessOrAnnounced) {
  const char* const one = std::getenv("WARREN_SEED");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t last = one != nullptr ? first : kRounds;
  const std::vector<std::string> kinds = {".log", ".sst", ".blob", ".sst", "MANIFEST",
                                          ".log", ".sst", ".blob", ".sst", "CURRENT"};
  std::map<std::string, Tally> tallies;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const std::string& kind = kinds[seed % kinds.size()];
    flip_one(kind, seed, tallies[kind]);
  }
  Tally all;
  for (const auto& [kind, tally] : tallies) {
    fmt::print("{}: {} harmless, {} announced, {} refused, {} aborted\n", kind, tally.harmless,
               tally.announced, tally.refused, tally.aborted);
    all.harmless += tally.harmless;
    all.announced += tally.announced;
  }
  // Else every flip missed what is read, or every one ended the reading.
  if (one == nullptr) {
    EXPECT_GT(all.harmless, 0);
    EXPECT_GT(all.announced, 0);
  }
  test::print_counted(last - first + 1, "flipped bits");
}

}  // namespace
}  // namespace warren::storage
