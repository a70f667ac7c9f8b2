// SPDX-License-Identifier: Apache-2.0
// Backups of a whole store, of a running broker as well as of a stopped one, and back again. Each
// backup is of one moment: the one at which its view was opened. What was fsynced before, and hence
// every message confirmed before, is in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "storage/inspect/store_view.h"

namespace warren::storage {

struct BackupEntry {
  std::uint32_t id = 0;
  std::int64_t unix_seconds = 0;
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
  StoreMarker marker;  // of the store it was taken from
};

// Adds a backup to `directory` (created if missing), copying only what its other backups do not
// have; fsynced. Errc::invalid_argument when the directory holds backups of another store.
Result<BackupEntry> make_backup(StoreView& view, const std::string& directory,
                                std::function<void()> progress);

// Oldest first.
Result<std::vector<BackupEntry>> read_backups(const std::string& directory);
// The newest one when `id` is 0. Errc::not_found when there is none.
Result<BackupEntry> find_backup(const std::string& directory, std::uint32_t id);

// Makes the data directory `target`, which must be missing or empty, from a backup. It appears
// whole, fsynced, or not at all.
Status restore_store(const std::string& directory, const BackupEntry& backup,
                     const std::string& target);

}  // namespace warren::storage
