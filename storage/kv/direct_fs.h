// SPDX-License-Identifier: Apache-2.0
// Below RocksDB: write-ahead logs, tables and blob files go to the disk past the page cache
// (O_DIRECT). The kernel's copy of what is written once and read much later, if ever, costs several
// times what the disk needs for it. Included by storage/kv/rocks_*.cc, and by tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <rocksdb/file_system.h>

#include "storage/base/units.h"
#include "storage/kv/read_ahead.h"

namespace warren::storage {

// So much of a log is zeros that wait to be overwritten: a sync of a file whose size and blocks
// stay as they are does not have to write those down.
constexpr std::uint64_t kLogAheadBytes = 256_KiB;

// What is written is padded with zeros to whole pages until the file is closed, tables and blob
// files until they are synced. Behind the last record of a log are at least as many zeros as a
// record's header has bytes, or the end of its block: RocksDB takes less than that for damage.
//
// Appended bytes are the process's own until a sync: what a commit did not sync does not outlive
// even the process.
class DirectFs final : public rocksdb::FileSystemWrapper {
 public:
  explicit DirectFs(const std::shared_ptr<rocksdb::FileSystem>& target)
      : FileSystemWrapper(target) {}

  const char* Name() const override { return "WarrenDirectFs"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  // Blob files are read so as well, and ahead; tables, which are small and read often, are not.
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* dbg) override;

 private:
  const std::shared_ptr<ReadAheadPool> read_ahead_ = make_read_ahead_pool();  // shared: with files
};

// Whether files in this directory can be written so: not every file system takes it.
bool takes_direct_writes(const std::string& directory);

}  // namespace warren::storage
