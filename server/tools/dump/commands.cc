// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/commands.h"

#include <cstdio>

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

void say(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
}

}  // namespace warren::dump
