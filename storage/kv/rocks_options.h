// SPDX-License-Identifier: Apache-2.0
// How RocksDB is set up, per database and per column family; each choice has its reason beside it.
// Included by storage/kv/rocks_*.cc only.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include "storage/kv/column_family.h"
#include "storage/kv/rocks_store.h"

namespace warren::storage {

rocksdb::DBOptions rocks_db_options(const RocksSettings& settings,
                                    std::shared_ptr<rocksdb::EventListener> listener);

rocksdb::ColumnFamilyOptions rocks_family_options(Family family, const RocksSettings& settings,
                                                  std::shared_ptr<rocksdb::Cache> cache);

}  // namespace warren::storage
