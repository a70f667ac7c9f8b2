// SPDX-License-Identifier: Apache-2.0
// A database as it is at this moment, for reading only: of a stopped process or of a running one.
// Nothing in its directory is created, changed or locked.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/kv/kv_store.h"
#include "storage/kv/table_scan.h"

namespace warren::storage {

// What a family takes on disk. Counts are RocksDB's estimates; bytes are exact.
struct FamilySize {
  bool present = false;
  std::uint64_t keys_estimate = 0;
  std::uint64_t table_files = 0;
  std::uint64_t table_bytes = 0;
  std::uint64_t blob_files = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t blob_garbage_bytes = 0;  // in blob files, of records that no key refers to any more
};

struct ViewSizes {
  std::array<FamilySize, kFamilyCount> families;
  std::uint64_t wal_bytes = 0;
  std::uint64_t manifest_bytes_cut = 0;       // an edit at its end that was never synced
  std::vector<std::string> unknown_families;  // of a later version
};

// Keys of [from, to).
struct KeyRange {
  std::string from;
  std::string to;
};

// A table that RocksDB cannot read through.
struct DamagedTable {
  std::string file;  // its name in the database's directory
  Family family = Family::meta;
  int level = 0;
  std::vector<std::string> damage;  // which blocks, and what is wrong with them
  // Records with these keys, and deletions of such records, may be missing.
  std::vector<KeyRange> lost;
  TableTail tail;  // with this in it the table holds what is sound of it
};

// A backup is a set of files shared by all backups in a directory: the next one copies what is new.
struct BackupInfo {
  std::uint32_t id = 0;
  std::int64_t unix_seconds = 0;
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
  std::string note;  // what create_backup was given
};

// Writes fail. Scans and gets see one moment.
class RocksView : public KvStore {
 public:
  virtual ViewSizes sizes() = 0;
  // Of a mended view: what it does not have.
  virtual const std::vector<DamagedTable>& damaged_tables() const = 0;
  // The value of a record whose checksum is wrong, as it is on disk; nothing when not even that can
  // be had.
  virtual std::optional<std::string> salvage(Family family, Bytes key) = 0;
  // Reads every block of every table (blob files are read with their records).
  virtual Status verify_tables() = 0;
  // Adds a backup of this moment to `directory`, fsynced, and returns its id. `progress` is called
  // now and then. Memory: a copy buffer.
  virtual Result<std::uint32_t> create_backup(const std::string& directory, const std::string& note,
                                              std::function<void()> progress) = 0;
};

enum class Tables : std::uint8_t {
  as_they_are,
  mended,  // every block is read first, and what is damaged is left out
};

// Errors as of RocksDB; Errc::not_found when there is no database in `path`.
Result<std::unique_ptr<RocksView>> open_rocks_view(const std::string& path,
                                                   Tables tables = Tables::as_they_are);

// Of a stopped database: commits `batch` as if the tables were mended, fsynced, then writes what is
// sound of them into new tables and deletes them. When it fails it can be repeated.
Status mend_rocks_store(const std::string& path, const std::vector<DamagedTable>& tables,
                        const KvBatch& batch);

// Oldest first. Damaged ones are not among them.
Result<std::vector<BackupInfo>> list_backups(const std::string& directory);
// Reads every file of the backup and compares sizes and checksums.
Status verify_backup(const std::string& directory, std::uint32_t id);
// Into `database`, which is created; fsynced.
Status restore_backup(const std::string& directory, std::uint32_t id, const std::string& database);
// Removes the oldest ones and the files that no other backup needs.
Status keep_newest_backups(const std::string& directory, std::uint32_t keep);

}  // namespace warren::storage
