// SPDX-License-Identifier: Apache-2.0
// The options of warrend: names, texts, units, ranges. Internal to server/config.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "server/config/config.h"

namespace warren::config {

// What CLI11 fills; the rest of Config it fills in place.
struct RawOptions {
  std::vector<std::string> listen;
};

// Registers every option on `app`. Both targets are borrowed until the parse is over.
void add_options(CLI::App& app, Config& config, RawOptions& raw);

}  // namespace warren::config
