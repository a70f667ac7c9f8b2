// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_store.h"

#include <array>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/kv/direct_fs.h"
#include "storage/kv/rocks_crc32c.h"
#include "storage/kv/rocks_cursor.h"
#include "storage/kv/rocks_doctor.h"
#include "storage/kv/rocks_events.h"
#include "storage/kv/rocks_options.h"
#include "storage/kv/rocks_reclaim.h"

namespace warren::storage {
namespace {

using Handles = std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount>;

class RocksStore final : public KvStore {
 public:
  RocksStore(rocksdb::DB* db, Handles handles, std::shared_ptr<RocksEvents> events,
             rocksdb::ColumnFamilyOptions spill_options, const RocksSettings& settings)
      : db_(db),
        handles_(handles),
        events_(std::move(events)),
        spill_options_(std::move(spill_options)),
        settings_(settings) {
    start_reclaimer();
  }

  ~RocksStore() override {
    if (db_ != nullptr) static_cast<void>(close());
  }

  Result<std::optional<std::string>> get(Family family, Bytes key) override;
  std::unique_ptr<KvCursor> scan(Family family, Bytes from, Bytes to) override {
    return std::make_unique<RocksCursor>(*db_, handle(family), from, to);
  }
  using KvStore::commit;
  Status commit(std::span<const KvBatch* const> batches, WriteMode mode) override;
  Status clear(Family family) override;
  void on_background_error(std::function<void(const Error&)> handler) override {
    events_->set_handler(std::move(handler));
  }
  Status close() override;

 private:
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return handles_[family_index(family)];
  }
  rocksdb::Status add(const KvOp& op);
  Status leave_damaged_alone();
  void start_reclaimer() {
    reclaimer_.emplace(
        *db_, std::vector{handle(Family::queue_log), handle(Family::spill), handle(Family::bodies)},
        *events_, settings_);
  }

  std::unique_ptr<rocksdb::DB> db_;
  Handles handles_;
  std::shared_ptr<RocksEvents> events_;  // shared with RocksDB, which keeps its listeners so
  rocksdb::ColumnFamilyOptions spill_options_;
  const RocksSettings settings_;
  rocksdb::WriteBatch batch_;  // kept for its memory
  std::uint64_t erased_ = 0;   // chunks, in batch_
  std::optional<RocksReclaimer> reclaimer_;
};

Result<std::optional<std::string>> RocksStore::get(Family family, Bytes key) {
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), handle(family), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return to_error(status, "reading the store");
  return std::optional<std::string>(std::move(value));
}

rocksdb::Status RocksStore::add(const KvOp& op) {
  switch (op.kind) {
    case KvOp::Kind::put:
      return batch_.Put(handle(op.family), op.key, op.value);
    case KvOp::Kind::erase:
      return batch_.Delete(handle(op.family), op.key);
    case KvOp::Kind::erase_once:
      ++erased_;
      return batch_.SingleDelete(handle(op.family), op.key);
    case KvOp::Kind::erase_range:
      ++erased_;
      return batch_.DeleteRange(handle(op.family), op.key, op.value);
  }
  return rocksdb::Status::InvalidArgument();
}

// A compaction that met damage would be tried again and again. Without compactions a family takes
// writes and reads as before; it only grows.
Status RocksStore::leave_damaged_alone() {
  for (const std::string& name : events_->take_damaged()) {
    for (std::size_t i = 0; i < kFamilyCount; ++i) {
      if (kFamilyNames[i] != name) continue;
      WARREN_CHECK(to_status(db_->SetOptions(handles_[i], {{"disable_auto_compactions", "true"}}),
                             "leaving a damaged family alone"));
    }
  }
  return {};
}

Status RocksStore::commit(std::span<const KvBatch* const> batches, WriteMode mode) {
  WARREN_CHECK(leave_damaged_alone());
  batch_.Clear();
  erased_ = 0;
  for (const KvBatch* batch : batches) {
    for (const KvOp& op : batch->ops()) {
      if (const rocksdb::Status status = add(op); !status.ok()) {
        return to_error(status, "building a commit");
      }
    }
  }
  rocksdb::WriteOptions options;
  options.sync = mode == WriteMode::synced;
  options.disableWAL = mode == WriteMode::unlogged;
  options.protection_bytes_per_key = 8;  // about 4 % of the CPU of a 1 KiB message
  const rocksdb::Status status = db_->Write(options, &batch_);
  if (erased_ > 0) reclaimer_->note_erased(erased_);
  // One enormous commit must not pin its memory for ever.
  constexpr std::size_t kKeepBytes = std::size_t{8} << 20;
  if (batch_.GetDataSize() > kKeepBytes) batch_ = rocksdb::WriteBatch();
  return to_status(status, "committing");
}

Status RocksStore::clear(Family family) {
  WARREN_ASSERT(family == Family::spill);
  reclaimer_.reset();
  rocksdb::ColumnFamilyHandle*& old = handles_[family_index(family)];
  WARREN_CHECK(to_status(db_->DropColumnFamily(old), "dropping the spilled messages"));
  WARREN_CHECK(to_status(db_->DestroyColumnFamilyHandle(old), "dropping the spilled messages"));
  old = nullptr;
  const std::string name(kFamilyNames[family_index(family)]);
  events_->forget_damage(name);
  WARREN_CHECK(
      to_status(db_->CreateColumnFamily(spill_options_, name, &old), "making room to spill"));
  start_reclaimer();
  return {};
}

Status RocksStore::close() {
  events_->set_handler({});
  reclaimer_.reset();
  for (rocksdb::ColumnFamilyHandle* const handle : handles_) {
    if (handle != nullptr) static_cast<void>(db_->DestroyColumnFamilyHandle(handle));
  }
  const rocksdb::Status status = db_->Close();
  db_.reset();
  return to_status(status, "closing the store");
}

Result<std::unique_ptr<KvStore>> open_unguarded(rocksdb::Env& env, const std::string& path,
                                                const RocksSettings& settings) {
  WARREN_CHECK(repair_manifest_tail(path));
  if (!settings.skip_damaged_log_records) WARREN_CHECK(check_write_ahead_logs(path));
  if (!rocks_crc32c_is_fast()) WLOG(info, "RocksDB computes its checksums in its own way");
  const auto cache = rocksdb::NewLRUCache(settings.block_cache_bytes);
  const auto events = std::make_shared<RocksEvents>();
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    families.emplace_back(std::string(kFamilyNames[i]),
                          rocks_family_options(static_cast<Family>(i), settings, cache));
  }
  const rocksdb::ColumnFamilyOptions spill_options = families[family_index(Family::spill)].options;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions options = rocks_db_options(settings, events);
  options.env = &env;
  const rocksdb::Status status = rocksdb::DB::Open(options, path, families, &handles, &db);
  if (!status.ok()) return to_error(status, fmt::format("opening '{}'", path));
  Handles by_family{};
  for (std::size_t i = 0; i < kFamilyCount; ++i) by_family[i] = handles[i];
  return std::unique_ptr<KvStore>(
      std::make_unique<RocksStore>(db, by_family, events, spill_options, settings));
}

// One for all stores, as RocksDB's own: its files may outlive a store.
rocksdb::Env& direct_env() {
  static const std::unique_ptr<rocksdb::Env> env =
      rocksdb::NewCompositeEnv(std::make_shared<DirectFs>(rocksdb::FileSystem::Default()));
  return *env;
}

rocksdb::Env& env_for(const std::string& path, const RocksSettings& settings) {
  if (!settings.direct_io) return *rocksdb::Env::Default();
  const std::string directory = std::filesystem::absolute(path).parent_path().string();
  if (takes_direct_writes(directory)) return direct_env();
  WLOG(info, "the file system takes no direct writes: they go through the page cache path='{}'",
       path);
  return *rocksdb::Env::Default();
}

}  // namespace

Result<std::unique_ptr<KvStore>> open_rocks_store(const std::string& path,
                                                  const RocksSettings& settings) {
  return open_rocks_store_on(env_for(path, settings), path, settings);
}

Result<std::unique_ptr<KvStore>> open_rocks_store_on(rocksdb::Env& env, const std::string& path,
                                                     const RocksSettings& settings) {
  try {
    return open_unguarded(env, path, settings);
  } catch (const std::exception& error) {
    return Error{Errc::io_error, fmt::format("opening '{}': {}", path, error.what())};
  }
}

}  // namespace warren::storage
