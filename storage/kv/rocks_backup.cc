// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_backup.h"

#include <memory>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/utilities/backup_engine.h>

#include "storage/kv/rocks_events.h"
#include "storage/kv/rocks_view.h"

namespace warren::storage {
namespace {

rocksdb::BackupEngineOptions options_for(const std::string& directory) {
  rocksdb::BackupEngineOptions options(directory, rocksdb::Env::Default());
  options.sync = true;
  options.share_table_files = true;
  options.share_files_with_checksum = true;
  options.backup_log_files = true;
  return options;
}

Result<std::unique_ptr<rocksdb::BackupEngine>> open_engine(const std::string& directory,
                                                           rocksdb::Env& source) {
  rocksdb::BackupEngine* engine = nullptr;
  const rocksdb::Status status =
      rocksdb::BackupEngine::Open(options_for(directory), &source, &engine);
  if (!status.ok()) return to_error(status, fmt::format("opening the backups in '{}'", directory));
  return std::unique_ptr<rocksdb::BackupEngine>(engine);
}

Result<std::unique_ptr<rocksdb::BackupEngineReadOnly>> open_reader(const std::string& directory) {
  rocksdb::BackupEngineReadOnly* engine = nullptr;
  const rocksdb::Status status =
      rocksdb::BackupEngineReadOnly::Open(options_for(directory), rocksdb::Env::Default(), &engine);
  if (!status.ok()) return to_error(status, fmt::format("opening the backups in '{}'", directory));
  return std::unique_ptr<rocksdb::BackupEngineReadOnly>(engine);
}

}  // namespace

Result<std::uint32_t> create_backup_of(rocksdb::DB& db, rocksdb::Env& source,
                                       const std::string& directory, const std::string& note,
                                       std::function<void()> progress) {
  WARREN_TRY(const auto engine, open_engine(directory, source));
  rocksdb::CreateBackupOptions options;
  options.flush_before_backup = false;
  if (progress) options.progress_callback = std::move(progress);
  rocksdb::BackupID id = 0;
  const rocksdb::Status status = engine->CreateNewBackupWithMetadata(options, &db, note, &id);
  if (!status.ok()) return to_error(status, fmt::format("making a backup in '{}'", directory));
  return id;
}

Result<std::vector<BackupInfo>> list_backups(const std::string& directory) {
  WARREN_TRY(const auto engine, open_reader(directory));
  std::vector<rocksdb::BackupInfo> found;
  engine->GetBackupInfo(&found);
  std::vector<BackupInfo> out;
  for (rocksdb::BackupInfo& info : found) {
    out.push_back(BackupInfo{info.backup_id, info.timestamp, info.size, info.number_files,
                             std::move(info.app_metadata)});
  }
  return out;
}

Status verify_backup(const std::string& directory, std::uint32_t id) {
  WARREN_TRY(const auto engine, open_reader(directory));
  return to_status(engine->VerifyBackup(id, true), fmt::format("verifying backup {}", id));
}

Status restore_backup(const std::string& directory, std::uint32_t id, const std::string& database) {
  WARREN_TRY(const auto engine, open_reader(directory));
  return to_status(engine->RestoreDBFromBackup(id, database, database),
                   fmt::format("restoring backup {} to '{}'", id, database));
}

Status keep_newest_backups(const std::string& directory, std::uint32_t keep) {
  WARREN_TRY(const auto engine, open_engine(directory, *rocksdb::Env::Default()));
  return to_status(engine->PurgeOldBackups(keep), "removing old backups");
}

}  // namespace warren::storage
