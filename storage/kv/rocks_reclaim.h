// SPDX-License-Identifier: Apache-2.0
// Gives back the disk space of messages that are gone. RocksDB drops a blob file once a compaction
// has met the deletions of all its keys; a queue that was drained writes no more, so that nothing
// would ever start that compaction. Included by storage/kv/rocks_*.cc only.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <rocksdb/db.h>

#include "storage/kv/rocks_events.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {

// Merges keys, which are small, and leaves bodies where they are; only when most of what the blob
// files hold is garbage that single survivors keep alive are these rewritten. A family in which
// damage was met, by this one or by a compaction of RocksDB's own, is left alone from then on.
class RocksReclaimer {
 public:
  RocksReclaimer(rocksdb::DB& db, std::vector<rocksdb::ColumnFamilyHandle*> families,
                 RocksEvents& events, const RocksSettings& settings);
  ~RocksReclaimer();
  RocksReclaimer(const RocksReclaimer&) = delete;
  RocksReclaimer& operator=(const RocksReclaimer&) = delete;

  // Thread safety: any thread; never blocks.
  void note_erased(std::uint64_t chunks);

 private:
  void run();
  // False: the family is to be left alone.
  bool reclaim(rocksdb::ColumnFamilyHandle* family);
  std::uint64_t property(rocksdb::ColumnFamilyHandle* family, const std::string& name);

  rocksdb::DB& db_;                                     // borrowed: outlives the reclaimer
  RocksEvents& events_;                                 // borrowed: outlives the reclaimer
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // the thread's
  const RocksSettings settings_;
  std::atomic<std::uint64_t> erased_ = 1;  // what the last process left is looked at once
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace warren::storage
