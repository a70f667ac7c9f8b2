// SPDX-License-Identifier: Apache-2.0
// warren-dump: looks into a store. Exit: 0 fine, 1 problems found, 2 usage, 3 cannot open.
#include <csignal>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/resource.h>

#include "storage/base/files.h"
#include "storage/base/log.h"

#include "server/tools/base/completion.h"
#include "server/tools/base/parse_failure.h"
#include "server/tools/dump/commands.h"

namespace {

using warren::dump::Chosen;
using warren::dump::Common;

// A view holds a descriptor per file of the store.
void raise_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &files));
}

// What the engine says goes to stderr, so that stdout is only what was asked for.
void set_up_log() {
  auto logger = spdlog::stderr_logger_mt("warren");
  logger->set_pattern("%l: %v");
  logger->set_level(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
}

void set_up(CLI::App& app, Common& common) {
  app.name("warren-dump");
  app.get_formatter()->column_width(32);
  app.set_version_flag("--version", std::string("warren-dump ") + WARREN_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  const char* const directory = std::getenv("WARREN_DATA_DIR");
  if (directory != nullptr && *directory != '\0') common.data_dir = directory;  // as warrend does
  app.add_option("--data-dir,-d", common.data_dir,
                 "The data directory of the broker (or WARREN_DATA_DIR)")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_flag("--json", common.json, "One JSON object a line");
  app.footer(
      "All but import, restore and repair work on a running broker's directory as well as on a\n"
      "stopped one's, and never change it: they see what the broker has written at this moment.\n"
      "Exit codes: 0 fine, 1 problems found, 2 usage, 3 cannot open. More: docs/dump.md.\n");
}

}  // namespace

int main(int argc, char** argv) {
  // A closed pipe (| head) ends the output, not with a core.
  std::signal(SIGPIPE, SIG_DFL);
  set_up_log();
  raise_file_limit();
  warren::narrow_file_rights();
  Common common;
  Chosen chosen;
  CLI::App app{"Looks into a Warren store: what is in it, is it sound, copies of it."};
  set_up(app, common);
  warren::dump::add_overview(app, common, chosen);
  warren::dump::add_definitions(app, common, chosen);
  warren::dump::add_messages(app, common, chosen);
  warren::dump::add_check(app, common, chosen);
  warren::dump::add_stats(app, common, chosen);
  warren::dump::add_backup(app, common, chosen);
  warren::dump::add_export(app, common, chosen);
  warren::dump::add_import(app, common, chosen);
  warren::dump::add_repair(app, common, chosen);
  warren::tools::add_completion(app, chosen, {{"--format", "table json raw hex"}});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = warren::tools::report_parse_failure(app, error);
    return code == 0 ? warren::dump::kExitFine : warren::dump::kExitUsage;
  }
  return chosen();
}
