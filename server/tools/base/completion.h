// SPDX-License-Identifier: Apache-2.0
// The command `completion` of a tool: its bash completion, made from what the program knows of
// itself.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace warren::tools {

// What to offer behind an option: {"--format", "table json"}.
using Choices = std::vector<std::pair<std::string, std::string>>;

// Commands, the options of each, what choices has, and files behind options of type FILE or DIR.
std::string bash_completion(const CLI::App& app, const Choices& choices);

// Adds the command; when it is chosen, `chosen` prints the script and returns 0.
// REQUIRES: app has a name and outlives `chosen`.
void add_completion(CLI::App& app, std::function<int()>& chosen, const Choices& choices);

}  // namespace warren::tools
