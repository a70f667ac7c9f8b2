// SPDX-License-Identifier: Apache-2.0
// Below RocksDB: tables that are damaged look as if they were mended. Nothing is written for it.
// Included by storage/kv/*.cc only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <rocksdb/file_system.h>
#include <rocksdb/options.h>

#include "storage/kv/rocks_view.h"
#include "storage/kv/table_scan.h"

namespace warren::storage {

using TableTails = std::map<std::string, TableTail>;  // by the name of the file
TableTails tails_of(const std::vector<DamagedTable>& tables);

class MendedFs final : public rocksdb::FileSystemWrapper {
 public:
  MendedFs(const std::shared_ptr<rocksdb::FileSystem>& below, const TableTails& tails);

  const char* Name() const override { return "WarrenMendedFs"; }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* dbg) override;

 private:
  // Shared with the files, which outlive the file system.
  std::map<std::string, std::shared_ptr<const TableTail>> tails_;
};

// Examines the tables of a database that RocksDB cannot read through: by the names of their files.
// `options` are those of any family.
Result<std::map<std::string, TableScan>> scan_tables(const rocksdb::Options& options,
                                                     const std::string& directory);

}  // namespace warren::storage
