// SPDX-License-Identifier: Apache-2.0
// What a tool says when its arguments do not parse.
#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
class ParseError;
}  // namespace CLI

namespace warren::tools {

// Prints the help that was asked for, or what is wrong: a word that is no command by its name.
// Returns 0 when it is no error.
int report_parse_failure(const CLI::App& app, const CLI::ParseError& error);

}  // namespace warren::tools
