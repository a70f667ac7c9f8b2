// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_reclaim.h"

#include <chrono>
#include <string>
#include <utility>

#include "storage/base/log.h"

namespace warren::storage {
namespace {

// Passes follow each other no faster than this: under load one covers many deletions.
constexpr std::chrono::seconds kPassInterval{2};

}  // namespace

RocksReclaimer::RocksReclaimer(rocksdb::DB& db, std::vector<rocksdb::ColumnFamilyHandle*> families,
                               const RocksSettings& settings)
    : db_(db), families_(std::move(families)), settings_(settings), thread_([this] { run(); }) {}

RocksReclaimer::~RocksReclaimer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void RocksReclaimer::note_erased(std::uint64_t chunks) {
  erased_.fetch_add(chunks, std::memory_order_relaxed);
}

void RocksReclaimer::run() {
  std::uint64_t erased_before = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, kPassInterval, [this] { return stopping_.load(); });
    if (stopping_) return;
    const std::uint64_t erased = erased_.load(std::memory_order_relaxed);
    const bool quiet = erased == erased_before;
    erased_before = erased;
    // Enough at once, or the last of it.
    if (erased == 0 || (erased < settings_.reclaim_erases && !quiet)) continue;
    erased_.fetch_sub(erased, std::memory_order_relaxed);
    erased_before = 0;
    lock.unlock();
    for (rocksdb::ColumnFamilyHandle* const family : families_) reclaim(family);
    lock.lock();
  }
}

std::uint64_t RocksReclaimer::property(rocksdb::ColumnFamilyHandle* family,
                                       const std::string& name) {
  std::uint64_t value = 0;
  return db_.GetIntProperty(family, name, &value) ? value : 0;
}

void RocksReclaimer::reclaim(rocksdb::ColumnFamilyHandle* family) {
  if (property(family, rocksdb::DB::Properties::kLiveBlobFileSize) < settings_.reclaim_bytes_min) {
    return;
  }
  // Failures are told to the listener (rocks_events): nothing to do about them here.
  if (!db_.Flush(rocksdb::FlushOptions(), family).ok() || stopping_) return;
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.canceled = &stopping_;
  if (!db_.CompactRange(options, family, nullptr, nullptr).ok() || stopping_) return;

  const std::uint64_t size = property(family, rocksdb::DB::Properties::kLiveBlobFileSize);
  const std::uint64_t garbage = property(family, rocksdb::DB::Properties::kLiveBlobFileGarbageSize);
  if (garbage < settings_.reclaim_bytes_min || garbage < size - garbage) return;
  WLOG(info, "rewriting blob files bytes={} garbage={}", size, garbage);
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.blob_garbage_collection_policy = rocksdb::BlobGarbageCollectionPolicy::kForce;
  options.blob_garbage_collection_age_cutoff = 1.0;
  static_cast<void>(db_.CompactRange(options, family, nullptr, nullptr));
}

}  // namespace warren::storage
