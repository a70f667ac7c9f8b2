// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_view.h"

#include <algorithm>
#include <cstdarg>
#include <exception>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>

#include "storage/base/units.h"
#include "storage/kv/mended_fs.h"
#include "storage/kv/pinned_fs.h"
#include "storage/kv/rocks_backup.h"
#include "storage/kv/rocks_cursor.h"
#include "storage/kv/rocks_events.h"
#include "storage/kv/rocks_options.h"

namespace warren::storage {
namespace {

using Handles = std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount>;

// RocksDB's own log goes nowhere: it would be a file in the store.
class NoLog final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// Of a family that this store does not have.
class EmptyCursor final : public KvCursor {
 public:
  bool valid() const override { return false; }
  Bytes key() const override { return {}; }
  Bytes value() const override { return {}; }
  void next() override {}
  Status status() const override { return {}; }
};

Error read_only() {
  return Error{Errc::invalid_argument, "this view of the store is read-only"};
}

class View final : public RocksView {
 public:
  View(std::shared_ptr<PinnedFs> files, std::unique_ptr<rocksdb::Env> env,
       std::vector<DamagedTable> damaged)
      : files_(std::move(files)), env_(std::move(env)), damaged_(std::move(damaged)) {}
  ~View() override { static_cast<void>(close()); }

  Status open(const std::string& path);

  Result<std::optional<std::string>> get(Family family, Bytes key) override;
  std::unique_ptr<KvCursor> scan(Family family, Bytes from, Bytes to) override {
    if (handle(family) == nullptr) return std::make_unique<EmptyCursor>();
    return std::make_unique<RocksCursor>(*db_, handle(family), from, to);
  }
  using KvStore::commit;
  Status commit(std::span<const KvBatch* const>, WriteMode) override { return read_only(); }
  Status clear(Family) override { return read_only(); }
  void on_background_error(std::function<void(const Error&)>) override {}
  Status close() override;
  ViewSizes sizes() override;
  const std::vector<DamagedTable>& damaged_tables() const override { return damaged_; }
  std::optional<std::string> salvage(Family family, Bytes key) override;
  Status verify_tables() override {
    return to_status(db_->VerifyChecksum(rocksdb::ReadOptions()), "verifying the tables");
  }
  Result<std::uint32_t> create_backup(const std::string& directory, const std::string& note,
                                      std::function<void()> progress) override {
    return create_backup_of(*db_, *env_, directory, note, std::move(progress));
  }

 private:
  void place_damage();
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return handles_[family_index(family)];
  }
  std::uint64_t property(rocksdb::ColumnFamilyHandle* family, const std::string& name) {
    std::uint64_t value = 0;
    return db_->GetIntProperty(family, name, &value) ? value : 0;
  }

  // In the order in which they die last.
  std::shared_ptr<PinnedFs> files_;  // shared with env_
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  Handles handles_{};
  std::vector<std::string> unknown_families_;
  std::vector<DamagedTable> damaged_;
};

Status View::open(const std::string& path) {
  RocksSettings settings;
  settings.mended_tables = !damaged_.empty();
  rocksdb::DBOptions options = rocks_db_options(settings, nullptr);
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  options.info_log = std::make_shared<NoLog>();
  options.env = env_.get();

  std::vector<std::string> names;
  WARREN_CHECK(to_status(rocksdb::DB::ListColumnFamilies(options, path, &names),
                         fmt::format("looking into '{}'", path)));
  const auto cache = rocksdb::NewLRUCache(settings.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::vector<std::size_t> indexes;
  for (const std::string& name : names) {
    const auto* const known = std::ranges::find(kFamilyNames, name);
    if (known == kFamilyNames.end()) {
      unknown_families_.push_back(name);
      continue;
    }
    indexes.push_back(static_cast<std::size_t>(known - kFamilyNames.begin()));
    families.emplace_back(
        name, rocks_family_options(static_cast<Family>(indexes.back()), settings, cache));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  WARREN_CHECK(to_status(rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &db),
                         fmt::format("opening '{}'", path)));
  db_.reset(db);
  for (std::size_t i = 0; i < indexes.size(); ++i) handles_[indexes[i]] = handles[i];
  place_damage();
  return {};
}

// What the manifest says of the damaged tables; those that it does not name are none of the store.
void View::place_damage() {
  std::vector<rocksdb::LiveFileMetaData> live;
  if (!damaged_.empty()) db_->GetLiveFilesMetaData(&live);
  std::erase_if(damaged_, [&live](DamagedTable& table) {
    const auto file =
        std::ranges::find(live, table.file, &rocksdb::LiveFileMetaData::relative_filename);
    if (file == live.end()) return true;
    const auto* const family = std::ranges::find(kFamilyNames, file->column_family_name);
    if (family == kFamilyNames.end()) return true;
    table.family = static_cast<Family>(family - kFamilyNames.begin());
    table.level = file->level;
    for (KeyRange& lost : table.lost) {
      lost.from = std::max(lost.from, file->smallestkey);
      const std::string end = file->largestkey + '\0';
      if (lost.to.empty() || lost.to > end) lost.to = end;
    }
    return false;
  });
}

Result<std::optional<std::string>> View::get(Family family, Bytes key) {
  if (handle(family) == nullptr) return std::optional<std::string>();
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), handle(family), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return to_error(status, "reading the store");
  return std::optional<std::string>(std::move(value));
}

std::optional<std::string> View::salvage(Family family, Bytes key) {
  if (handle(family) == nullptr) return std::nullopt;
  rocksdb::ReadOptions options;
  options.verify_checksums = false;
  options.fill_cache = false;
  std::string value;
  if (!db_->Get(options, handle(family), slice(key), &value).ok()) return std::nullopt;
  return value;
}

Status View::close() {
  if (db_ == nullptr) return {};
  for (rocksdb::ColumnFamilyHandle*& handle : handles_) {
    if (handle != nullptr) static_cast<void>(db_->DestroyColumnFamilyHandle(handle));
    handle = nullptr;
  }
  const rocksdb::Status status = db_->Close();
  db_.reset();
  return to_status(status, "closing the view");
}

ViewSizes View::sizes() {
  using Properties = rocksdb::DB::Properties;
  ViewSizes out;
  out.manifest_bytes_cut = files_->manifest_bytes_cut();
  out.wal_bytes = files_->wal_bytes();
  out.unknown_families = unknown_families_;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    rocksdb::ColumnFamilyHandle* const family = handles_[i];
    if (family == nullptr) continue;
    FamilySize& size = out.families[i];
    size.present = true;
    size.keys_estimate = property(family, Properties::kEstimateNumKeys);
    size.blob_files = property(family, Properties::kNumBlobFiles);
    size.blob_bytes = property(family, Properties::kLiveBlobFileSize);
    size.blob_garbage_bytes = property(family, Properties::kLiveBlobFileGarbageSize);
    rocksdb::ColumnFamilyMetaData tables;
    db_->GetColumnFamilyMetaData(family, &tables);
    size.table_files = tables.file_count;
    size.table_bytes = tables.size;
  }
  return out;
}

// An empty `to` stands for the last key of the table.
std::vector<KeyRange> lost_keys(const TableScan& scan) {
  if (scan.range_deletions_lost) return {KeyRange{}};
  std::vector<KeyRange> out;
  for (const TableHole& hole : scan.holes) {
    KeyRange lost;
    if (hole.after.has_value()) lost.from = *hole.after + '\0';
    if (hole.before.has_value()) lost.to = *hole.before;
    out.push_back(std::move(lost));
  }
  return out;
}

Result<std::vector<DamagedTable>> find_damaged_tables(const std::shared_ptr<PinnedFs>& files,
                                                      const std::string& path) {
  const auto env = rocksdb::NewCompositeEnv(files);
  const RocksSettings settings;
  rocksdb::Options options(
      rocks_db_options(settings, nullptr),
      rocks_family_options(Family::meta, settings, rocksdb::NewLRUCache(1_MiB)));
  options.env = env.get();
  options.info_log = std::make_shared<NoLog>();  // shared: as RocksDB wants it
  WARREN_TRY(const auto scans, scan_tables(options, path));
  std::vector<DamagedTable> out;
  for (const auto& [name, scan] : scans) {
    DamagedTable table;
    table.file = name;
    table.damage = scan.damage;
    table.lost = lost_keys(scan);
    std::uint64_t bytes = 0;
    WARREN_CHECK(to_status(files->GetFileSize(name, rocksdb::IOOptions(), &bytes, nullptr), name));
    // Without room for it RocksDB decides; a file that is being written is none of the store's yet.
    if (auto tail = mend_table(scan, bytes); tail.ok()) table.tail = tail.take();
    out.push_back(std::move(table));
  }
  return out;
}

Result<std::unique_ptr<RocksView>> open_unguarded(const std::string& path, Tables tables) {
  WARREN_TRY(std::shared_ptr<PinnedFs> files, PinnedFs::take(path));
  std::vector<DamagedTable> damaged;
  if (tables == Tables::mended) {
    WARREN_TRY(damaged, find_damaged_tables(files, path));
  }
  auto env = rocksdb::NewCompositeEnv(
      std::make_shared<MendedFs>(files, tails_of(damaged)));  // shared: as RocksDB wants it
  auto view = std::make_unique<View>(std::move(files), std::move(env), std::move(damaged));
  WARREN_CHECK(view->open(path));
  return std::unique_ptr<RocksView>(std::move(view));
}

}  // namespace

Result<std::unique_ptr<RocksView>> open_rocks_view(const std::string& path, Tables tables) {
  try {
    return open_unguarded(path, tables);
  } catch (const std::exception& error) {
    return Error{Errc::io_error, fmt::format("opening '{}': {}", path, error.what())};
  }
}

}  // namespace warren::storage
