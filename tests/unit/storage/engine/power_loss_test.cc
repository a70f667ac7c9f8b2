// SPDX-License-Identifier: Apache-2.0
// The random workload on RocksDB on a file system that loses power at random syncs, the start
// included: nothing confirmed is lost, nothing comes back half, and the store always opens.
// WARREN_SEED=n replays one seed, WARREN_SEEDS=n runs more of them.
#include <cstdlib>
#include <random>

#include <gmock/gmock.h>

#include "storage/kv/rocks_options.h"

#include "tests/unit/storage/engine/lossy_fs.h"
#include "tests/unit/storage/engine/temp_directory.h"
#include "tests/unit/storage/engine/workload_checks.h"

namespace warren::storage {
namespace {

class PowerLossDisk final : public TestDisk {
 public:
  explicit PowerLossDisk(std::uint64_t seed) : random_(seed) { begin("0"); }
  ~PowerLossDisk() override {
    env_.reset();
    fs_.reset();
  }

  std::unique_ptr<KvStore> open() override {
    RocksSettings settings;
    settings.block_cache_bytes = 1 << 20;
    settings.write_buffer_bytes = 256 << 10;
    auto opened = open_rocks_store_on(*env_, path_, settings);
    EXPECT_TRUE(opened.ok()) << opened.error().text;
    if (!opened.ok()) return nullptr;
    // A start is as good a moment to lose power as any.
    return opened.take();
  }

  void lose_power() override {
    const std::string image = root_ / ("image" + std::to_string(round_));
    if (!lost_) take_image();
    env_.reset();
    std::filesystem::remove_all(path_);
    fs_.reset();
    begin(image);
  }

  bool lost() const override { return lost_; }

 private:
  void begin(const std::string& path) {
    ++round_;
    lost_ = false;
    path_ = path == "0" ? root_ / "db" : path;
    std::filesystem::create_directories(path_);
    const std::string shadow = root_ / ("shadow" + std::to_string(round_));
    std::filesystem::create_directory(shadow);
    fs_ = std::make_shared<LossyFs>(path_, shadow);
    env_ = rocksdb::NewCompositeEnv(fs_);
    countdown_ = 1 + random_() % (random_() % 4 == 0 ? 20 : 200);
    fs_->before_sync([this] {
      if (--countdown_ == 0 && !lost_) take_image();
    });
  }

  void take_image() {
    const std::string image = root_ / ("image" + std::to_string(round_));
    std::filesystem::create_directory(image);
    fs_->write_image(random_, image, kZeros);
    lost_ = true;
  }

  static constexpr bool kZeros = true;

  TempDirectory root_;
  std::mt19937_64 random_;
  std::shared_ptr<LossyFs> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  std::string path_;
  int round_ = 0;
  std::uint64_t countdown_ = 0;
  std::atomic<bool> lost_ = false;
};

TEST(PowerLoss, NothingConfirmedIsLost) {
  const char* const one = std::getenv("WARREN_SEED");
  const char* const many = std::getenv("WARREN_SEEDS");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t count =
      one != nullptr ? 1 : (many != nullptr ? std::strtoull(many, nullptr, 10) : 12);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("WARREN_SEED=" + std::to_string(seed));
    Workload(seed, std::make_unique<PowerLossDisk>(seed), 3000).run(2000);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace warren::storage
