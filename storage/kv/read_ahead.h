// SPDX-License-Identifier: Apache-2.0
// Reads files ahead that are read from front to back, as the kernel does for those in its page
// cache. Included by storage/kv/*.cc only, and by tests.
#pragma once

#include <cstddef>
#include <memory>

#include <rocksdb/file_system.h>

#include "storage/base/units.h"

namespace warren::storage {

class ReadAheadPool;  // the threads that do it

// Ends its threads when the last file that was given it is gone, too.
std::shared_ptr<ReadAheadPool> make_read_ahead_pool();

constexpr std::size_t kReadAheadStep = 256_KiB;  // is read at once
constexpr std::size_t kReadAheadSteps = 3;       // ahead of the reader
// Files read ahead at the same time, a MiB of memory each; then the one that began first stops.
constexpr std::size_t kReadAheadFilesMax = 8;

// `file` must never change. Reads of it may come from any thread, and begin at whole pages.
std::unique_ptr<rocksdb::FSRandomAccessFile> read_ahead(
    std::unique_ptr<rocksdb::FSRandomAccessFile> file, std::shared_ptr<ReadAheadPool> pool);

}  // namespace warren::storage
