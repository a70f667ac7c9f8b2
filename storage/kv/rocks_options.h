// SPDX-License-Identifier: Apache-2.0
// How RocksDB is set up, per database and per column family; each choice has its reason beside it.
// Included by storage/kv/rocks_*.cc, and by tests that put a file system of their own below.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include "storage/kv/column_family.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {

rocksdb::DBOptions rocks_db_options(const RocksSettings& settings,
                                    std::shared_ptr<rocksdb::EventListener> listener);

rocksdb::ColumnFamilyOptions rocks_family_options(Family family, const RocksSettings& settings,
                                                  std::shared_ptr<rocksdb::Cache> cache);

// As open_rocks_store, on `env`, which outlives the store.
Result<std::unique_ptr<KvStore>> open_rocks_store_on(rocksdb::Env& env, const std::string& path,
                                                     const RocksSettings& settings);

}  // namespace warren::storage
