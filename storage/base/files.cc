// SPDX-License-Identifier: Apache-2.0
#include "storage/base/files.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace warren {
namespace {

Status write_synced(const std::string& path, Bytes content) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.fd < 0) return os_error("create", path, errno);
  WARREN_CHECK(write_all(file.fd, content, path));
  if (::fsync(file.fd) != 0) return os_error("sync", path, errno);
  return {};
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd >= 0) ::close(fd);
}

Error os_error(std::string_view doing, const std::string& path, int error) {
  return Error{error == ENOSPC ? Errc::no_space : Errc::io_error,
               fmt::format("cannot {} '{}': {}", doing, path,
                           std::error_code(error, std::generic_category()).message())};
}

Status write_all(int fd, Bytes content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error("write", path, errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status sync_directory(const std::string& path) {
  const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd < 0) return os_error("open", path, errno);
  if (::fsync(directory.fd) != 0) return os_error("sync", path, errno);
  return {};
}

Status replace_file(const std::string& path, const std::string& temporary, Bytes content) {
  WARREN_CHECK(write_synced(temporary, content));
  if (::rename(temporary.c_str(), path.c_str()) != 0) return os_error("rename", temporary, errno);
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  return sync_directory(directory.empty() ? "." : directory.string());
}

void narrow_file_rights() {
  ::umask(::umask(077) | 027);
}

}  // namespace warren
