// SPDX-License-Identifier: Apache-2.0
// Files that have to be there, whole, after a power loss.
#pragma once

#include <string>
#include <string_view>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace warren {

// An open file, or -1: what open() gave. Closes it at the end of a scope.
struct FileDescriptor {
  int fd = -1;
  explicit FileDescriptor(int descriptor) : fd(descriptor) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();
};

// "cannot open 'path': No such file or directory". `error`: an errno. Errc::no_space for a full
// disk, else Errc::io_error.
Error os_error(std::string_view doing, const std::string& path, int error);

// All of it, to an open file. `path`: for the error.
Status write_all(int fd, Bytes content, const std::string& path);

// Makes durable which names the directory has.
Status sync_directory(const std::string& path);

// Puts `content` under the name `path`, in the place of what is there: after a crash the one or the
// other, whole. Durable when it returns. `temporary`: a name in the same directory, overwritten.
Status replace_file(const std::string& path, const std::string& temporary, Bytes content);

// Of what the process creates from now on others than owner and group get nothing, and the group
// cannot write: at most 0750 and 0640. Never widens. Thread safety: before there are threads.
void narrow_file_rights();

}  // namespace warren
