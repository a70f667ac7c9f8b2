// SPDX-License-Identifier: Apache-2.0
// Command line, environment and config file -> Config. The command line wins over the environment
// (WARREN_DATA_DIR for --data-dir and so on), the environment over the file (--config), the file
// over the defaults.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/base/result.h"

#include "server/config/config.h"

namespace warren::config {

// Either a configuration to run with, or a text to print and an exit code to leave with.
struct Loaded {
  std::optional<Config> config;
  std::string text;   // --help and --version: for stdout; a usage error: for stderr
  int exit_code = 0;  // 0, or kExitUsage
};

inline constexpr int kExitUsage = 2;

// The value of an environment variable, or nullptr.
using Environment = std::function<const char*(const char* name)>;

// `args` is argv, program name first.
Loaded load_config(std::span<const char* const> args, const Environment& environment);
Loaded load_config(int argc, const char* const* argv);

// The names in `environment` (as environ) that look like options, WARREN_SOMETHING, and are none.
std::vector<std::string> unknown_environment(const char* const* environment);

// "127.0.0.1:5672", "[::1]:5672", "localhost:0".
Result<ListenAddress> parse_listen_address(const std::string& text);

}  // namespace warren::config
