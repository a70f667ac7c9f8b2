// SPDX-License-Identifier: Apache-2.0
// Makes a database sound whose tables are damaged.
#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>

#include "storage/kv/mended_fs.h"
#include "storage/kv/rocks_events.h"
#include "storage/kv/rocks_options.h"
#include "storage/kv/rocks_view.h"

namespace warren::storage {
namespace {

RocksSettings settings_for_mending() {
  RocksSettings settings;
  settings.mended_tables = true;
  settings.reclaim_bytes_min = UINT64_MAX;  // leaves the blob files alone
  return settings;
}

// Every table of these families is written anew.
Status rewrite(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& handles,
               const std::vector<DamagedTable>& tables) {
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    const auto is_in = [i](const DamagedTable& table) { return family_index(table.family) == i; };
    if (std::ranges::none_of(tables, is_in)) continue;
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    WARREN_CHECK(to_status(db.CompactRange(options, handles[i], nullptr, nullptr),
                           fmt::format("writing the tables of '{}' anew", kFamilyNames[i])));
  }
  std::vector<rocksdb::LiveFileMetaData> live;
  db.GetLiveFilesMetaData(&live);
  for (const DamagedTable& table : tables) {
    if (std::ranges::find(live, table.file, &rocksdb::LiveFileMetaData::relative_filename) !=
        live.end()) {
      return Error{Errc::internal, fmt::format("'{}' is still in use", table.file)};
    }
  }
  return {};
}

Status mend_unguarded(const std::string& path, const std::vector<DamagedTable>& tables,
                      const KvBatch& batch) {
  const RocksSettings settings = settings_for_mending();
  const auto env = rocksdb::NewCompositeEnv(std::make_shared<MendedFs>(
      rocksdb::FileSystem::Default(), tails_of(tables)));  // shared: as RocksDB wants it
  // First what follows from the damage: once the tables are gone nothing tells of it any more.
  if (!batch.empty()) {
    WARREN_TRY(const std::unique_ptr<KvStore> store, open_rocks_store_on(*env, path, settings));
    WARREN_CHECK(store->commit(batch, WriteMode::synced));
    WARREN_CHECK(store->close());
  }
  const auto cache = rocksdb::NewLRUCache(settings.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    families.emplace_back(std::string(kFamilyNames[i]),
                          rocks_family_options(static_cast<Family>(i), settings, cache));
  }
  rocksdb::DBOptions options = rocks_db_options(settings, nullptr);
  options.env = env.get();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  WARREN_CHECK(to_status(rocksdb::DB::Open(options, path, families, &handles, &opened),
                         fmt::format("opening '{}'", path)));
  const std::unique_ptr<rocksdb::DB> db(opened);
  const Status rewritten = rewrite(*db, handles, tables);
  for (rocksdb::ColumnFamilyHandle* const handle : handles) {
    static_cast<void>(db->DestroyColumnFamilyHandle(handle));
  }
  const Status closed = to_status(db->Close(), fmt::format("closing '{}'", path));
  return rewritten.ok() ? closed : rewritten;
}

}  // namespace

Status mend_rocks_store(const std::string& path, const std::vector<DamagedTable>& tables,
                        const KvBatch& batch) {
  try {
    return mend_unguarded(path, tables, batch);
  } catch (const std::exception& error) {
    return Error{Errc::io_error, fmt::format("mending '{}': {}", path, error.what())};
  }
}

}  // namespace warren::storage
