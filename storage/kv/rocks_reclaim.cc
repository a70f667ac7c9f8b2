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
                               RocksEvents& events, const RocksSettings& settings)
    : db_(db),
      events_(events),
      families_(std::move(families)),
      settings_(settings),
      thread_([this] { run(); }) {}

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
    std::erase_if(families_,
                  [this](rocksdb::ColumnFamilyHandle* family) { return !reclaim(family); });
    lock.lock();
  }
}

std::uint64_t RocksReclaimer::property(rocksdb::ColumnFamilyHandle* family,
                                       const std::string& name) {
  std::uint64_t value = 0;
  return db_.GetIntProperty(family, name, &value) ? value : 0;
}

bool RocksReclaimer::reclaim(rocksdb::ColumnFamilyHandle* family) {
  if (events_.is_damaged(family->GetName())) return false;
  if (property(family, rocksdb::DB::Properties::kLiveBlobFileSize) < settings_.reclaim_bytes_min) {
    return true;
  }
  // Failures are told to the listener (rocks_events). Damage would be met again in every pass.
  rocksdb::Status status = db_.Flush(rocksdb::FlushOptions(), family);
  if (!status.ok() || stopping_) return !status.IsCorruption();
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.canceled = &stopping_;
  status = db_.CompactRange(options, family, nullptr, nullptr);
  if (!status.ok() || stopping_) return !status.IsCorruption();

  const std::uint64_t size = property(family, rocksdb::DB::Properties::kLiveBlobFileSize);
  const std::uint64_t garbage = property(family, rocksdb::DB::Properties::kLiveBlobFileGarbageSize);
  if (garbage < settings_.reclaim_bytes_min || garbage < size - garbage) return true;
  WLOG(info, "rewriting blob files bytes={} garbage={}", size, garbage);
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.blob_garbage_collection_policy = rocksdb::BlobGarbageCollectionPolicy::kForce;
  options.blob_garbage_collection_age_cutoff = 1.0;
  return !db_.CompactRange(options, family, nullptr, nullptr).IsCorruption();
}

}  // namespace warren::storage
