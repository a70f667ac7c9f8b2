// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/store_directory.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/base/bytes.h"
#include "storage/base/files.h"

namespace warren::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarkerName = "WARREN";
constexpr const char* kMarkerTemporaryName = "WARREN.new";
constexpr const char* kLockName = "lock";
constexpr const char* kDatabaseName = "db";
constexpr std::string_view kMarkerHeading = "Warren store\n";

Result<std::string> read_small_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return os_error("open", path, errno);
  std::array<char, 512> buffer{};
  const ssize_t got = ::read(file.fd, buffer.data(), buffer.size());
  if (got < 0) return os_error("read", path, errno);
  return std::string(buffer.data(), static_cast<std::size_t>(got));
}

// A random (version 4) UUID.
Result<std::string> make_store_id() {
  std::array<unsigned char, 16> raw{};
  if (::getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(raw.size())) {
    return Error{Errc::io_error, "the system gives no random bytes"};
  }
  raw[6] = static_cast<unsigned char>((raw[6] & 0x0F) | 0x40);
  raw[8] = static_cast<unsigned char>((raw[8] & 0x3F) | 0x80);
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out += fmt::format("{:02x}", raw[i]);
  }
  return out;
}

// "Warren store\nformat 2\nid <uuid>\n"; lines that a later version adds behind these are its own.
Result<StoreMarker> parse_marker(Bytes text, const std::string& path) {
  const Error foreign{Errc::not_a_store, fmt::format("'{}' is not a Warren store marker", path)};
  const auto take_line = [&text](std::string_view prefix) -> std::optional<std::string> {
    const std::size_t end = text.find('\n');
    if (end == Bytes::npos || !text.starts_with(prefix)) return std::nullopt;
    std::string line(text.substr(prefix.size(), end - prefix.size()));
    text.remove_prefix(end + 1);
    return line;
  };
  if (!text.starts_with(kMarkerHeading)) return foreign;
  text.remove_prefix(kMarkerHeading.size());
  const auto format_text = take_line("format ");
  unsigned format = 0;
  if (!format_text.has_value() ||
      std::from_chars(format_text->data(), format_text->data() + format_text->size(), format).ec !=
          std::errc()) {
    return foreign;
  }
  if (format > kStoreFormat) {
    return Error{Errc::format_too_new,
                 fmt::format("'{}' says format {}, this version knows formats up to {}", path,
                             format, kStoreFormat)};
  }
  const auto id = take_line("id ");
  if (!id.has_value() || id->empty()) return foreign;
  return StoreMarker{format, *id};
}

Status write_marker(const std::string& directory, const std::string& store_id) {
  const std::string text =
      fmt::format("{}format {}\nid {}\n", kMarkerHeading, kStoreFormat, store_id);
  return replace_file(directory + "/" + kMarkerName, directory + "/" + kMarkerTemporaryName, text);
}

Status create_directory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return os_error("create", path, error.value());
  const fs::path parent = fs::absolute(path, error).parent_path();
  return sync_directory(parent.empty() ? "/" : parent.string());
}

enum class Contents { nothing, marker, foreign };

// An error when it cannot be said, or when the marker is not of this version. Changes nothing.
Result<Contents> inspect(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Contents::nothing;
  if (error) return os_error("open", path, error.value());
  if (status.type() != fs::file_type::directory) {
    return Error{Errc::not_a_store, fmt::format("'{}' is not a directory", path)};
  }
  bool foreign = false;
  fs::directory_iterator at(path, error);
  if (error) return os_error("list", path, error.value());
  for (; at != fs::directory_iterator(); at.increment(error)) {
    if (error) return os_error("list", path, error.value());
    const std::string name = at->path().filename().string();
    if (name == kMarkerName) {
      WARREN_TRY(const std::string text, read_small_file(at->path().string()));
      WARREN_CHECK([&]() -> Status {
        const auto parsed = parse_marker(text, at->path().string());
        return parsed.ok() ? Status() : parsed.error();
      }());
      return Contents::marker;
    }
    // What a start that was cut short, or a file system, leaves behind.
    foreign =
        foreign || (name != kMarkerTemporaryName && name != kLockName && name != "lost+found");
  }
  return foreign ? Contents::foreign : Contents::nothing;
}

// Ours, or free to become ours; an error otherwise. Changes nothing.
Result<Contents> inspect_to_write(const std::string& path) {
  WARREN_TRY(const Contents contents, inspect(path));
  if (contents != Contents::foreign) return contents;
  return Error{Errc::not_a_store,
               fmt::format("'{}' holds files, but no Warren store; give an empty directory", path)};
}

Result<int> take_lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return os_error("open", path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error != EWOULDBLOCK) return os_error("lock", path, error);
    const auto holder = read_small_file(path);
    std::string pid = holder.ok() ? *holder : std::string();
    while (!pid.empty() && pid.back() == '\n') pid.pop_back();
    return Error{Errc::in_use, fmt::format("'{}' is held by process {}", path,
                                           pid.empty() ? std::string("unknown") : pid)};
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd, 0) != 0) {
    const int error = errno;
    ::close(fd);
    return os_error("write", path, error);
  }
  if (const Status written = write_all(fd, pid, path); !written.ok()) {
    ::close(fd);
    return written.error();
  }
  return fd;
}

}  // namespace

Result<StoreMarker> read_store_marker(const std::string& path) {
  WARREN_TRY(const Contents contents, inspect(path));
  if (contents != Contents::marker) {
    return Error{Errc::not_a_store, fmt::format("'{}' holds no Warren store", path)};
  }
  const std::string marker = path + "/" + kMarkerName;
  WARREN_TRY(const std::string text, read_small_file(marker));
  return parse_marker(text, marker);
}

Status create_store_marker(const std::string& path, const std::string& store_id) {
  WARREN_TRY(const Contents contents, inspect_to_write(path));
  if (contents == Contents::marker) {
    return Error{Errc::in_use, fmt::format("'{}' holds a store already", path)};
  }
  std::error_code error;
  if (!fs::exists(path, error)) WARREN_CHECK(create_directory(path));
  return write_marker(path, store_id);
}

bool holds_store_marker(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::path(path) / kMarkerName, error);
}

std::string store_database_path(const std::string& path) {
  return path + "/" + kDatabaseName;
}

StoreDirectory::StoreDirectory(StoreDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      store_id_(std::move(other.store_id_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)) {}

StoreDirectory::~StoreDirectory() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

std::string StoreDirectory::database_path() const {
  return store_database_path(path_);
}

Result<StoreDirectory> StoreDirectory::open(const std::string& path) {
  WARREN_TRY(Contents contents, inspect_to_write(path));
  std::error_code error;
  if (!fs::exists(path, error)) WARREN_CHECK(create_directory(path));
  WARREN_TRY(const int lock_fd, take_lock(path + "/" + kLockName));
  StoreDirectory out(path, lock_fd);
  // Another process may have made a store of it before we had the lock.
  WARREN_TRY(contents, inspect_to_write(path));
  const std::string marker = path + "/" + kMarkerName;
  if (contents == Contents::nothing) {
    WARREN_TRY(out.store_id_, make_store_id());
    WARREN_CHECK(write_marker(path, out.store_id_));
    return out;
  }
  WARREN_TRY(const std::string text, read_small_file(marker));
  WARREN_TRY(const StoreMarker found, parse_marker(text, marker));
  out.store_id_ = found.store_id;
  // S9: before anything else is written.
  if (found.format < kStoreFormat) WARREN_CHECK(write_marker(path, out.store_id_));
  return out;
}

Status StoreDirectory::check_free_space(std::uint64_t bytes_min) const {
  struct statvfs space {};
  if (::statvfs(path_.c_str(), &space) != 0) return os_error("ask the free space of", path_, errno);
  const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (free >= bytes_min) return {};
  return Error{Errc::no_space,
               fmt::format("'{}' has {} bytes free, a start needs {}", path_, free, bytes_min)};
}

}  // namespace warren::storage
