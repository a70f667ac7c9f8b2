// SPDX-License-Identifier: Apache-2.0
// Backups by RocksDB's BackupEngine, of a view (rocks_view.h, where the contracts are). Included by
// storage/kv/rocks_*.cc only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include "storage/base/result.h"

namespace warren::storage {

// `source` is the environment that `db` reads from.
Result<std::uint32_t> create_backup_of(rocksdb::DB& db, rocksdb::Env& source,
                                       const std::string& directory, const std::string& note,
                                       std::function<void()> progress);

}  // namespace warren::storage
