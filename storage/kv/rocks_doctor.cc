// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/rocks_doctor.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/base/files.h"
#include "storage/base/log.h"
#include "storage/base/units.h"
#include "storage/kv/log_scan.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kEditsPerSyncBytesMax = 64_KiB;

// Through descriptors: a stream would throw when the disk cannot read.
Result<std::string> read_file(const std::string& path) {
  constexpr std::size_t kStepBytes = 1_MiB;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return os_error("open", path, errno);
  std::string content;
  ssize_t got = 0;
  do {
    const std::size_t before = content.size();
    content.resize(before + kStepBytes);
    got = ::read(fd, content.data() + before, kStepBytes);
    const int error = errno;
    content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && error != EINTR) {
      ::close(fd);
      return os_error("read", path, error);
    }
  } while (got != 0);
  ::close(fd);
  return content;
}

Status cut_file(const std::string& path, std::uint64_t bytes) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return os_error("open", path, errno);
  const bool cut = ::ftruncate(fd, static_cast<off_t>(bytes)) == 0 && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return cut ? Status() : os_error("shorten", path, error);
}

// Of a log that a broker writes just now the end may be half written: damage stays as it is.
Result<std::optional<DamagedLog>> find_damage(const std::string& path) {
  std::string before;
  while (true) {
    WARREN_TRY(std::string log, read_file(path));
    const LogScan scan = scan_log(log);
    if (scan.end != LogScan::End::corrupt) return std::optional<DamagedLog>();
    if (log == before) {
      return std::optional(DamagedLog{path, log.size(), scan.damage_at, scan.records_behind});
    }
    before = std::move(log);
    let_writes_end();
  }
}

}  // namespace

void let_writes_end() {
  constexpr std::chrono::milliseconds kWriteTime(5);
  std::this_thread::sleep_for(kWriteTime);
}

std::uint64_t sound_manifest_bytes(Bytes manifest) {
  const LogScan scan = scan_log(manifest);
  if (scan.end != LogScan::End::torn) return manifest.size();
  // Of several edits under one sync, a later one may have reached the disk without an earlier one.
  // Further behind, good records say that this was synced and is not a tail.
  const bool tail =
      scan.records_behind == 0 || manifest.size() - scan.damage_at <= kEditsPerSyncBytesMax;
  return tail ? scan.good_bytes : manifest.size();
}

Status repair_manifest_tail(const std::string& database) {
  std::error_code error;
  if (!fs::exists(database + "/CURRENT", error)) return {};  // a new database
  WARREN_TRY(std::string current, read_file(database + "/CURRENT"));
  while (!current.empty() && current.back() == '\n') current.pop_back();
  if (!current.starts_with("MANIFEST-")) return {};
  const std::string path = database + "/" + current;
  if (!fs::exists(path, error)) return {};
  WARREN_TRY(const std::string manifest, read_file(path));
  const std::uint64_t sound = sound_manifest_bytes(manifest);
  if (sound == manifest.size()) return {};
  WLOG(warn, "manifest ends in a record that was never synced, cut file={} bytes={} of={}", path,
       sound, manifest.size());
  return cut_file(path, sound);
}

Result<std::vector<DamagedLog>> find_damaged_logs(const std::string& database) {
  std::vector<DamagedLog> out;
  std::error_code error;
  fs::directory_iterator at(database, error);
  if (error) return out;  // a new database
  for (; at != fs::directory_iterator(); at.increment(error)) {
    if (error) return os_error("list", database, error.value());
    if (at->path().extension() != ".log") continue;
    const std::string path = at->path().string();
    WARREN_TRY(const auto damaged, find_damage(path));
    if (damaged.has_value()) out.push_back(*damaged);
  }
  return out;
}

Result<std::uint64_t> salvage_log_file(const std::string& path) {
  WARREN_TRY(const std::string damaged, read_file(path));
  const SalvagedLog sound = salvage_log(damaged);
  // RocksDB deletes a file of this name that is left over.
  const std::string next = fs::path(path).replace_extension(".dbtmp").string();
  WARREN_CHECK(replace_file(path, next, sound.content));
  return sound.records;
}

Status check_write_ahead_logs(const std::string& database) {
  WARREN_TRY(const std::vector<DamagedLog> damaged, find_damaged_logs(database));
  if (damaged.empty()) return {};
  const DamagedLog& log = damaged.front();
  return Error{Errc::corruption,
               fmt::format("'{}' is damaged at byte {} of {}, in data that was on disk; {} records "
                           "lie behind. Starting would drop them",
                           log.path, log.damage_at, log.bytes, log.records_behind)};
}

}  // namespace warren::storage
