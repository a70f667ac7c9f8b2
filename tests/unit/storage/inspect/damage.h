// SPDX-License-Identifier: Apache-2.0
// Bodies in blob files, and bits that flip in them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {

// Chunks of one message of 3000 bytes at 100, 101 and so on, most of them in blob files.
inline void fill_blobs(const std::string& path, std::uint64_t log, Seq chunks) {
  RocksSettings small;
  small.write_buffer_bytes = 64 << 10;
  auto store = open_rocks_store(store_database_path(path), small);
  ASSERT_TRUE(store.ok());
  for (Seq base = 100; base < 100 + chunks; ++base) {
    KvBatch batch;
    batch.put(Family::queue_log, StoreRecords::key(log, base),
              StoreRecords::chunk_value(log, base, {std::string(3000, 'y')}));
    ASSERT_TRUE((*store)->commit(batch, WriteMode::synced).ok());
  }
  ASSERT_TRUE((*store)->close().ok());
}

// In one file with this ending.
inline void flip_bit(const std::string& directory, const std::string& extension) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.path().extension() != extension || entry.file_size() < 1000) continue;
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(500);
    const char byte = static_cast<char>(file.get());
    file.seekp(500);
    file.put(static_cast<char>(byte ^ 4));
    return;
  }
  FAIL() << "no " << extension << " in " << directory;
}

}  // namespace warren::storage
