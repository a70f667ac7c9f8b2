// SPDX-License-Identifier: Apache-2.0
// The KvStore on RocksDB. No RocksDB type leaves this folder, and no exception.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "storage/kv/kv_store.h"

namespace warren::storage {

struct RocksSettings {
  std::size_t block_cache_bytes = std::size_t{32} << 20;
  std::size_t write_buffer_bytes = std::size_t{32} << 20;  // memtables, and WAL replayed at open
  // Disk space is given back after this many deletions of chunks, or when deletions pause, provided
  // that there is as much as this to look at.
  std::uint64_t reclaim_erases = 2000;
  std::uint64_t reclaim_bytes_min = std::uint64_t{64} << 20;
  // Writes past the page cache, where the file system takes that (direct_fs.h).
  bool direct_io = true;
  // For repairs only: opens in spite of a damaged write-ahead log and leaves out what is damaged.
  bool skip_damaged_log_records = false;
  // For repairs only: tables that were mended have lost what says which process wrote them, and are
  // not compacted by themselves.
  bool mended_tables = false;
};

// Creates the database when `path` holds none.
Result<std::unique_ptr<KvStore>> open_rocks_store(const std::string& path,
                                                  const RocksSettings& settings);

}  // namespace warren::storage
