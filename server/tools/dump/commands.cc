// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/commands.h"

#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>

namespace warren::dump {

int fail(int exit_code, const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "warren-dump: {}\n", error.text);
  return exit_code;
}

int cannot_open(const Error& error) {
  return fail(kExitCannotOpen, error);
}

std::FILE* create_private_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return fd < 0 ? nullptr : ::fdopen(fd, "wb");
}

void say(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
}

}  // namespace warren::dump
