// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/backup.h"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/engine/store_directory.h"
#include "storage/inspect/catalog.h"
#include "storage/kv/rocks_view.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNoteHead = "warren format ";
constexpr std::string_view kNoteId = " id ";

std::string note_of(const StoreMarker& marker) {
  return fmt::format("{}{}{}{}", kNoteHead, marker.format, kNoteId, marker.store_id);
}

Result<StoreMarker> parse_note(const std::string& note) {
  const Error foreign{Errc::not_a_store, "the backup is not of a Warren store"};
  if (!note.starts_with(kNoteHead)) return foreign;
  StoreMarker marker;
  const char* const begin = note.data() + kNoteHead.size();
  const char* const end = note.data() + note.size();
  const auto [at, error] = std::from_chars(begin, end, marker.format);
  const std::string_view rest(at, static_cast<std::size_t>(end - at));
  if (error != std::errc() || !rest.starts_with(kNoteId)) return foreign;
  marker.store_id = rest.substr(kNoteId.size());
  if (marker.format > kStoreFormat) {
    return Error{Errc::format_too_new,
                 fmt::format("the backup has format {}, this version knows formats up to {}",
                             marker.format, kStoreFormat)};
  }
  return marker;
}

Error os_error(std::string_view doing, const std::string& path, const std::error_code& error) {
  return Error{Errc::io_error, fmt::format("cannot {} '{}': {}", doing, path, error.message())};
}

Status sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const std::error_code error(errno, std::generic_category());
  if (fd >= 0) ::close(fd);
  return synced ? Status() : os_error("sync", path, error);
}

Status must_be_free(const std::string& target) {
  std::error_code error;
  if (!fs::exists(target, error)) return {};
  if (fs::is_directory(target, error) && fs::is_empty(target, error)) return {};
  return Error{Errc::in_use,
               fmt::format("'{}' is not empty: a restore makes a new directory", target)};
}

// A backup in a data directory would be lost with it.
Status must_be_outside_stores(const std::string& directory) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(fs::absolute(directory, error), error);
  if (error) return os_error("look for", directory, error);
  if (holds_store_marker(whole.string())) {
    return Error{Errc::invalid_argument,
                 fmt::format("'{}' is a data directory, not one for backups", directory)};
  }
  for (fs::path above = whole.parent_path();; above = above.parent_path()) {
    if (holds_store_marker(above.string())) {
      return Error{Errc::invalid_argument,
                   fmt::format("'{}' lies in the data directory '{}'", directory, above.string())};
    }
    if (above == above.parent_path()) return {};
  }
}

}  // namespace

Result<BackupEntry> make_backup(StoreView& view, const std::string& directory,
                                std::function<void()> progress) {
  WARREN_CHECK(must_be_outside_stores(directory));
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return os_error("create", directory, error);
  if (!fs::is_empty(directory, error)) {
    if (!fs::is_directory(directory + "/meta", error)) {
      return Error{Errc::invalid_argument,
                   fmt::format("'{}' holds other things than backups", directory)};
    }
    WARREN_TRY(const std::vector<BackupEntry> before, read_backups(directory));
    if (!before.empty() && before.back().marker.store_id != view.marker.store_id) {
      return Error{Errc::invalid_argument, fmt::format("'{}' holds backups of another store, {}",
                                                       directory, before.back().marker.store_id)};
    }
  }
  WARREN_TRY(const std::uint32_t id,
             view.database->create_backup(directory, note_of(view.marker), std::move(progress)));
  WARREN_CHECK(sync_directory(directory));
  return find_backup(directory, id);
}

Result<std::vector<BackupEntry>> read_backups(const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return Error{Errc::not_found, fmt::format("there is no directory '{}'", directory)};
  }
  WARREN_TRY(const std::vector<BackupInfo> found, list_backups(directory));
  std::vector<BackupEntry> out;
  for (const BackupInfo& info : found) {
    WARREN_TRY(StoreMarker marker, parse_note(info.note));
    out.push_back(
        BackupEntry{info.id, info.unix_seconds, info.bytes, info.files, std::move(marker)});
  }
  return out;
}

Result<BackupEntry> find_backup(const std::string& directory, std::uint32_t id) {
  WARREN_TRY(std::vector<BackupEntry> found, read_backups(directory));
  if (found.empty()) {
    return Error{Errc::not_found, fmt::format("there is no sound backup in '{}'", directory)};
  }
  if (id == 0) return std::move(found.back());
  for (BackupEntry& entry : found) {
    if (entry.id == id) return std::move(entry);
  }
  return Error{Errc::not_found, fmt::format("there is no sound backup {} in '{}'", id, directory)};
}

Status restore_store(const std::string& directory, const BackupEntry& backup,
                     const std::string& target) {
  WARREN_CHECK(must_be_free(target));
  std::string clean = target;
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  const std::string temporary = clean + ".restoring";
  std::error_code error;
  if (fs::exists(temporary, error)) {
    return Error{Errc::in_use,
                 fmt::format("'{}' is left of a restore that did not end: remove it", temporary)};
  }
  WARREN_CHECK(create_store_marker(temporary, backup.marker.store_id));
  const std::string database = store_database_path(temporary);
  fs::create_directory(database, error);
  if (error) return os_error("create", database, error);
  WARREN_CHECK(restore_backup(directory, backup.id, database));
  // It must be readable before it takes its name.
  {
    WARREN_TRY(const StoreView view, open_store_view(temporary));
    WARREN_TRY(const Catalog catalog, read_catalog(*view.database));
    if (!catalog.meta.has_value() || catalog.meta->store_id != backup.marker.store_id) {
      return Error{Errc::corruption, "what was restored does not describe itself as this store"};
    }
  }
  WARREN_CHECK(sync_directory(database));
  WARREN_CHECK(sync_directory(temporary));
  fs::remove(clean, error);  // the empty directory, if there was one
  fs::rename(temporary, clean, error);
  if (error) return os_error("rename", temporary, error);
  return sync_directory(fs::absolute(clean, error).parent_path().string());
}

}  // namespace warren::storage
