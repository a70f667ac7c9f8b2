// SPDX-License-Identifier: Apache-2.0
#include "server/tools/base/parse_failure.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace warren::tools {

int report_parse_failure(const CLI::App& app, const CLI::ParseError& error) {
  // CLI11 misses the command before it looks at what stands in its place.
  if (std::string_view(error.what()) == CLI::RequiredError::Subcommand(1).what()) {
    const std::vector<std::string> left = app.remaining(true);
    if (!left.empty()) {
      fmt::print(stderr, "'{}' is no {}\nRun with --help for more information.\n", left.front(),
                 left.front().starts_with('-') ? "option of all commands" : "command");
      return error.get_exit_code();
    }
  }
  return app.exit(error);
}

}  // namespace warren::tools
