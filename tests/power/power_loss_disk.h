// SPDX-License-Identifier: Apache-2.0
// RocksDB on a file system that loses power, in one of two ways: at a moment drawn from the seed,
// after which the run goes on with what is left; or not at all, leaving an image of what would have
// been left at every sync and at some moments between.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/kv/direct_fs.h"
#include "storage/kv/rocks_options.h"

#include "tests/power/lossy_fs.h"
#include "tests/unit/storage/engine/store_driver.h"
#include "tests/unit/storage/engine/temp_directory.h"

namespace warren::storage {

class PowerLossDisk final : public TestDisk {
 public:
  enum class Mode : std::uint8_t { lose, sweep, keep };

  PowerLossDisk(std::uint64_t seed, Mode mode)
      : PowerLossDisk(std::make_unique<TempDirectory>(TempDirectory::Where::memory), seed, mode,
                      0) {}

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
    return opened.take();
  }

  void lose_power() override {
    const std::string image = *root_ / ("image" + std::to_string(round_));
    if (!lost_) write_image(image);
    env_.reset();
    std::filesystem::remove_all(path_);
    fs_.reset();
    begin(image);
  }

  bool lost() const override { return lost_; }

  std::vector<std::unique_ptr<TestDisk>> take_images() override {
    std::vector<std::unique_ptr<TestDisk>> out;
    fs_->locked([&] { out.swap(images_); });
    return out;
  }

 private:
  // A second loss in the start after a first one, and a third; further ones are like these.
  static constexpr int kDepthMax = 2;
  static constexpr unsigned kSweepStartOneIn = 40;
  static constexpr unsigned kMomentOneIn = 60;  // of the writes and renames between two syncs

  PowerLossDisk(std::unique_ptr<TempDirectory> root, std::uint64_t seed, Mode mode, int depth)
      : root_(std::move(root)), random_(seed), mode_(mode), depth_(depth) {
    begin(*root_ / "db");
  }

  void begin(const std::string& path) {
    ++round_;
    lost_ = false;
    path_ = path;
    std::filesystem::create_directories(path_);
    const std::string shadow = *root_ / ("shadow" + std::to_string(round_));
    std::filesystem::create_directory(shadow);
    fs_ = std::make_shared<LossyFs>(path_, shadow);
    // As on most disks, or as where a file system takes no direct writes.
    env_ = random_() % 4 == 0 ? rocksdb::NewCompositeEnv(fs_)
                              : rocksdb::NewCompositeEnv(std::make_shared<DirectFs>(fs_));
    // Mostly a sync, soon or later; at times the moment before any write or renaming.
    any_moment_ = random_() % 4 == 0;
    countdown_ = 1 + random_() % (random_() % 4 == 0 ? 20 : any_moment_ ? 1000 : 200);
    fs_->before([this](LossyFs::Moment moment) { watch(moment == LossyFs::Moment::sync); });
  }

  // Runs on: any of RocksDB's threads, with the file system locked.
  void watch(bool sync) {
    switch (mode_) {
      case Mode::keep:
        return;
      case Mode::sweep:
        if (sync || random_() % kMomentOneIn == 0) add_image();
        return;
      case Mode::lose:
        if (lost_ || (!sync && !any_moment_)) return;
        if (--countdown_ > 0) return;
        write_image(*root_ / ("image" + std::to_string(round_)));
        lost_ = true;
        return;
    }
  }

  void write_image(const std::string& to) {
    std::filesystem::create_directory(to);
    fs_->write_image(random_, to);
  }

  void add_image() {
    auto root = std::make_unique<TempDirectory>(TempDirectory::Where::memory);
    write_image(*root / "db");
    const bool sweep = depth_ < kDepthMax && random_() % kSweepStartOneIn == 0;
    images_.push_back(std::unique_ptr<PowerLossDisk>(new PowerLossDisk(
        std::move(root), random_(), sweep ? Mode::sweep : Mode::keep, depth_ + 1)));
  }

  std::unique_ptr<TempDirectory> root_;
  std::mt19937_64 random_;
  const Mode mode_;
  const int depth_;  // power losses so far, of an image
  std::shared_ptr<LossyFs> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  std::string path_;
  int round_ = 0;
  bool any_moment_ = false;
  std::uint64_t countdown_ = 0;
  std::atomic<bool> lost_ = false;
  std::vector<std::unique_ptr<TestDisk>> images_;  // guarded by the file system's lock
};

}  // namespace warren::storage
