// SPDX-License-Identifier: Apache-2.0
// One moment of a database directory, seen through open file descriptors, below RocksDB. Whatever a
// running process appends, renames or deletes afterwards does not show, and nothing can be changed
// through it: every call that writes is refused. Included by storage/kv/*.cc only.
//
// Why the moment is consistent: tables and blob files never change once the manifest names them;
// nothing was added to the manifest while the descriptors were collected (else they are collected
// again); and the write-ahead logs are opened newest first, so that a log that has a successor in
// the view is seen to its end: every logged commit is synced (WriteMode), and a successor is made
// between two commits. The newest one is overwritten in place (direct_fs.h): of its end the view
// has a copy. What was fsynced before take() began is in the view, and no commit without all those
// before it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/file_system.h>

#include "storage/base/files.h"
#include "storage/base/result.h"

namespace warren::storage {

// Bound: a descriptor per file of the database, up to the process's limit of open files.
class PinnedFs final : public rocksdb::FileSystemWrapper {
 public:
  // Errc::not_found when there is no database in `directory`; Errc::in_use when files come and go
  // so fast that no quiet moment was found.
  static Result<std::shared_ptr<PinnedFs>> take(const std::string& directory);

  const char* Name() const override { return "WarrenPinnedFs"; }

  // How many bytes of the manifest were left out because they were never synced.
  std::uint64_t manifest_bytes_cut() const { return manifest_bytes_cut_; }
  // Of all write-ahead logs.
  std::uint64_t wal_bytes() const;

  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetChildren(const std::string& directory, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names,
                                rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetChildrenFileAttributes(const std::string& directory,
                                              const rocksdb::IOOptions& options,
                                              std::vector<rocksdb::FileAttributes>* files,
                                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options,
                                std::uint64_t* bytes, rocksdb::IODebugContext* dbg) override;

  rocksdb::IOStatus NewWritableFile(const std::string&, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSWritableFile>*,
                                    rocksdb::IODebugContext*) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSWritableFile>*,
                                       rocksdb::IODebugContext*) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string&, const std::string&,
                                      const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSWritableFile>*,
                                      rocksdb::IODebugContext*) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string&, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>*,
                                    rocksdb::IODebugContext*) override;
  rocksdb::IOStatus NewMemoryMappedFileBuffer(
      const std::string&, std::unique_ptr<rocksdb::MemoryMappedFileBuffer>*) override;
  rocksdb::IOStatus NewDirectory(const std::string&, const rocksdb::IOOptions&,
                                 std::unique_ptr<rocksdb::FSDirectory>*,
                                 rocksdb::IODebugContext*) override;
  rocksdb::IOStatus DeleteFile(const std::string&, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
  rocksdb::IOStatus Truncate(const std::string&, std::size_t, const rocksdb::IOOptions&,
                             rocksdb::IODebugContext*) override;
  rocksdb::IOStatus CreateDir(const std::string&, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string&, const rocksdb::IOOptions&,
                                       rocksdb::IODebugContext*) override;
  rocksdb::IOStatus DeleteDir(const std::string&, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override;
  rocksdb::IOStatus RenameFile(const std::string&, const std::string&, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
  rocksdb::IOStatus LinkFile(const std::string&, const std::string&, const rocksdb::IOOptions&,
                             rocksdb::IODebugContext*) override;
  rocksdb::IOStatus LockFile(const std::string&, const rocksdb::IOOptions&, rocksdb::FileLock**,
                             rocksdb::IODebugContext*) override;
  rocksdb::IOStatus NewLogger(const std::string&, const rocksdb::IOOptions&,
                              std::shared_ptr<rocksdb::Logger>*, rocksdb::IODebugContext*) override;

  struct Pinned {
    std::shared_ptr<const FileDescriptor> descriptor;  // shared: readers outlive the file system
    std::uint64_t bytes = 0;
    std::uint64_t tail_at = 0;                // from here on it reads as `tail`, if that is given
    std::shared_ptr<const std::string> tail;  // shared: readers outlive the file system
  };

 private:
  enum class Attempt : std::uint8_t { taken, disturbed };

  explicit PinnedFs(std::string directory);
  Result<Attempt> attempt();
  Result<bool> pin(const std::string& name);
  Status cut_manifest();
  Status copy_tail(const std::string& log);
  const Pinned* find(const std::string& path) const;

  const std::string directory_;
  std::map<std::string, Pinned> files_;  // by name within the directory
  std::string manifest_;
  std::string newest_log_;  // empty when there is none
  std::uint64_t manifest_bytes_cut_ = 0;
};

}  // namespace warren::storage
