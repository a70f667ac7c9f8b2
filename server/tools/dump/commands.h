// SPDX-License-Identifier: Apache-2.0
// The commands of warren-dump. Each adds itself to the program and, when it was chosen, returns the
// exit code.
#pragma once

#include <cstdio>
#include <functional>
#include <string>

#include "storage/base/result.h"

#include "server/tools/dump/output.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace warren::dump {

inline constexpr int kExitFine = 0;
inline constexpr int kExitProblems = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCannotOpen = 3;

// What all commands are told.
struct Common {
  std::string data_dir = "./data";
  bool json = false;

  Style style() const { return json ? Style::json : Style::table; }
};

// Set by the command that was chosen; called once all options are read.
using Chosen = std::function<int()>;

void add_overview(CLI::App& app, const Common& common, Chosen& chosen);
void add_definitions(CLI::App& app, const Common& common, Chosen& chosen);
void add_messages(CLI::App& app, const Common& common, Chosen& chosen);
void add_check(CLI::App& app, const Common& common, Chosen& chosen);
void add_stats(CLI::App& app, const Common& common, Chosen& chosen);
void add_backup(CLI::App& app, const Common& common, Chosen& chosen);
void add_export(CLI::App& app, const Common& common, Chosen& chosen);
void add_import(CLI::App& app, const Common& common, Chosen& chosen);
void add_repair(CLI::App& app, const Common& common, Chosen& chosen);

// Says it on stderr, and returns the exit code.
int fail(int exit_code, const Error& error);
// Of an error while a store is opened.
int cannot_open(const Error& error);
// A new file for the owner alone: it may hold messages and password hashes. nullptr: see errno.
std::FILE* create_private_file(const std::string& path);
// A line on stderr.
void say(const std::string& text);

}  // namespace warren::dump
