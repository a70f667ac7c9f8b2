// SPDX-License-Identifier: Apache-2.0
// backup, backups, verify, restore: copies of a whole store.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/inspect/backup.h"

#include "server/tools/dump/commands.h"
#include "server/tools/dump/progress.h"

namespace warren::dump {
namespace {

using boost::json::object;
using storage::BackupEntry;

struct BackupOptions {
  std::string directory;
  std::uint32_t id = 0;
  std::uint32_t keep = 0;
};

// RocksDB calls back after each so many bytes.
constexpr std::uint64_t kProgressStep = std::uint64_t{4} << 20;

object row_of(const BackupEntry& backup) {
  object row;
  row["backup"] = backup.id;
  row["taken"] = time_text(backup.unix_seconds * 1000);
  row["bytes"] = backup.bytes;
  row["files"] = backup.files;
  row["store"] = backup.marker.store_id;
  return row;
}

void print_backup(const Common& common, std::string_view what, const BackupEntry& backup) {
  if (common.json) {
    object row = row_of(backup);
    row["done"] = what;
    print_json(row);
    return;
  }
  print_line(fmt::format("{} backup {} of {}, {} in {} files", what, backup.id,
                         time_text(backup.unix_seconds * 1000), bytes_text(backup.bytes),
                         backup.files));
}

int run_backup(const Common& common, const BackupOptions& options) {
  auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  const storage::ViewSizes sizes = view->database->sizes();
  std::uint64_t total = sizes.wal_bytes;
  for (const auto& family : sizes.families) total += family.table_bytes + family.blob_bytes;
  Progress progress("copying", total);
  std::uint64_t copied = 0;
  const auto backup = storage::make_backup(*view, options.directory, [&] {
    copied += kProgressStep;
    progress.update(copied);
  });
  progress.finish();
  if (!backup.ok()) return fail(kExitProblems, backup.error());
  print_backup(common, "made", *backup);
  if (options.keep > 0) {
    const Status kept = storage::keep_newest_backups(options.directory, options.keep);
    if (!kept.ok()) return fail(kExitProblems, kept.error());
  }
  return kExitFine;
}

int run_backups(const Common& common, const BackupOptions& options) {
  const auto backups = storage::read_backups(options.directory);
  if (!backups.ok()) return cannot_open(backups.error());
  Listing listing(common.style(), {"backup", "taken", "bytes", "files", "store"});
  for (const BackupEntry& backup : *backups) listing.add(row_of(backup));
  listing.finish();
  return kExitFine;
}

int run_verify(const Common& common, const BackupOptions& options) {
  const auto backup = storage::find_backup(options.directory, options.id);
  if (!backup.ok()) return cannot_open(backup.error());
  const Status verified = storage::verify_backup(options.directory, backup->id);
  if (!verified.ok()) return fail(kExitProblems, verified.error());
  print_backup(common, "verified", *backup);
  return kExitFine;
}

int run_restore(const Common& common, const BackupOptions& options) {
  const auto backup = storage::find_backup(options.directory, options.id);
  if (!backup.ok()) return cannot_open(backup.error());
  const Status restored = storage::restore_store(options.directory, *backup, common.data_dir);
  if (!restored.ok()) return fail(kExitProblems, restored.error());
  print_backup(common, "restored", *backup);
  return kExitFine;
}

}  // namespace

void add_backup(CLI::App& app, const Common& common, Chosen& chosen) {
  const auto options = std::make_shared<BackupOptions>();  // shared with the callbacks
  const auto add = [&](const char* name, const char* text, auto run) {
    CLI::App* const command = app.add_subcommand(name, text);
    command->add_option("BACKUPS", options->directory, "The directory of the backups")->required();
    command->callback([&common, &chosen, options, run] {
      chosen = [&common, options, run] { return run(common, *options); };
    });
    return command;
  };
  add("backup",
      "Adds a backup of this moment: everything confirmed before is in it. Copies only\n"
      "what the other backups in BACKUPS do not have. The broker may run.",
      run_backup)
      ->add_option("--keep", options->keep, "Then remove all but so many, the oldest first")
      ->type_name("N");
  add("backups", "The backups in BACKUPS", run_backups);
  CLI::App* const verify = add("verify", "Reads a backup and compares its checksums", run_verify);
  CLI::App* const restore = add(
      "restore", "Makes --data-dir, which must be missing or empty, from a backup", run_restore);
  for (CLI::App* const command : {verify, restore}) {
    command->add_option("--id", options->id, "Which one; the newest when not given")
        ->type_name("N");
  }
}

}  // namespace warren::dump
