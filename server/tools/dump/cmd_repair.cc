// SPDX-License-Identifier: Apache-2.0
// repair: makes a stopped store sound again, keeping what it takes out.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/clock.h"
#include "storage/inspect/store_repair.h"

#include "server/broker/message.h"
#include "server/tools/dump/commands.h"

namespace warren::dump {
namespace {

struct RepairOptions {
  bool dry_run = false;
  bool salvage_log = false;
  std::string quarantine;
};

// Created with the first record, so that a sound store gets no file.
class Quarantine {
 public:
  explicit Quarantine(std::string path) : path_(std::move(path)) {}
  Quarantine(const Quarantine&) = delete;
  Quarantine& operator=(const Quarantine&) = delete;
  ~Quarantine() {
    if (file_ != nullptr) std::fclose(file_);
  }

  Status add(const storage::QuarantinedRecord& record) {
    if (file_ == nullptr) file_ = create_private_file(path_);
    if (file_ == nullptr) return os_error("create");
    boost::json::object line;
    line["family"] = storage::kFamilyNames[storage::family_index(record.family)];
    line["key_base64"] = to_base64(record.key);
    if (record.value.has_value()) {
      line["value_base64"] = to_base64(*record.value);
    } else {
      line["value_base64"] = nullptr;
    }
    put_bytes(line, "why", record.why);
    const std::string text = boost::json::serialize(line);
    std::fwrite(text.data(), 1, text.size(), file_);
    std::fputc('\n', file_);
    return std::ferror(file_) == 0 ? Status() : os_error("write");
  }
  Status sync() {
    if (file_ == nullptr) return {};
    if (std::fflush(file_) == 0 && ::fsync(::fileno(file_)) == 0) return {};
    return os_error("sync");
  }
  const std::string& path() const { return path_; }

 private:
  Status os_error(std::string_view doing) const {
    return Error{Errc::io_error,
                 fmt::format("cannot {} '{}': {}", doing, path_,
                             std::error_code(errno, std::generic_category()).message())};
  }
  const std::string path_;
  std::FILE* file_ = nullptr;
};

// What of `from` can be read, page by page; zeros for the rest.
bool copy_readable(int from, int to) {
  constexpr std::size_t kPageBytes = 4096;
  char page[kPageBytes];
  for (off_t at = 0;;) {
    ssize_t got = ::pread(from, page, sizeof(page), at);
    if (got == 0) return true;
    if (got < 0) {
      struct stat status {};
      if (::fstat(from, &status) != 0) return false;
      got = static_cast<ssize_t>(std::min<off_t>(sizeof(page), status.st_size - at));
      if (got <= 0) return true;
      std::fill_n(page, got, '\0');
    }
    if (::pwrite(to, page, static_cast<std::size_t>(got), at) != got) return false;
    at += got;
  }
}

// A damaged file, beside the quarantine file.
Status keep_copy(const std::string& file, const std::string& quarantine) {
  const std::string target =
      fmt::format("{}.{}", quarantine, std::filesystem::path(file).filename().string());
  const int from = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const int to = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool kept = from >= 0 && to >= 0 && copy_readable(from, to) && ::fsync(to) == 0;
  if (from >= 0) ::close(from);
  if (to >= 0) ::close(to);
  if (kept) return {};
  return Error{Errc::io_error, fmt::format("cannot copy '{}' to '{}'", file, target)};
}

// "; at least 3 and at most 7 messages are lost"
std::string loss_text(const storage::RepairReport& done) {
  if (done.log_salvaged) {
    if (done.lost_at_least == 0) return "; how many messages are lost cannot be told";
    return fmt::format(
        "; at least {} messages are lost, how many more with the counts of their queues cannot be "
        "told",
        done.lost_at_least);
  }
  if (done.lost_at_most == 0) return "";
  if (done.lost_at_least == done.lost_at_most) {
    return fmt::format("; {} messages are lost", done.lost_at_least);
  }
  return fmt::format("; at least {} and at most {} messages are lost", done.lost_at_least,
                     done.lost_at_most);
}

void report(const Common& common, const RepairOptions& options, const storage::RepairReport& done,
            const std::string& quarantine) {
  for (const std::string& what : done.by_hand) say("not repaired: " + what);
  if (common.json) {
    boost::json::object row{
        {"done", !options.dry_run},          {"actions", done.actions},
        {"quarantined", done.quarantined},   {"tables", done.tables},
        {"log_salvaged", done.log_salvaged}, {"lost_at_least", done.lost_at_least},
        {"lost_at_most", done.lost_at_most}, {"by_hand", done.by_hand.size()}};
    if (done.log_salvaged) row["lost_at_most"] = nullptr;  // nobody knows
    print_json(row);
    return;
  }
  if (done.actions == 0) {
    print_line("nothing to repair");
    return;
  }
  print_line(fmt::format(
      "{} {} things{}{}", options.dry_run ? "would repair" : "repaired", done.actions,
      done.quarantined == 0 ? std::string()
                            : fmt::format(", {} records {} in '{}'", done.quarantined,
                                          options.dry_run ? "would be" : "are", quarantine),
      loss_text(done)));
}

int run(const Common& common, const RepairOptions& options) {
  std::string path = options.quarantine;
  if (path.empty()) {
    path = fmt::format("warren-quarantine-{}.jsonl", SystemClock().wall_ms());
  }
  Quarantine quarantine(path);
  storage::RepairOptions how;
  how.dry_run = options.dry_run;
  how.weigh = [](Bytes block) -> std::uint64_t {
    const BlockRef copy = Block::copy_of(block);
    return broker::valid_message(*copy) ? broker::MessageView(*copy).body().size() : 0;
  };
  if (!options.dry_run) {
    how.quarantine = [&](const storage::QuarantinedRecord& record) {
      return quarantine.add(record);
    };
    how.keep_table = [&](const std::string& table) { return keep_copy(table, path); };
    how.before_change = [&] { return quarantine.sync(); };
  }
  if (options.salvage_log) {
    how.salvage_log = [&](const std::string& log) { return keep_copy(log, path); };
  }
  how.on_action = [&](const std::string& where, const std::string& what) {
    if (common.json) {
      boost::json::object line;
      put_bytes(line, "where", where);
      put_bytes(line, "what", what);
      print_json(line);
    } else {
      print_line(fmt::format("{}: {}", where, what));
    }
  };
  const auto done = storage::repair_store(common.data_dir, how);
  if (!done.ok()) return cannot_open(done.error());
  report(common, options, *done, path);
  const bool open = !done->by_hand.empty() || (options.dry_run && done->actions > 0);
  return open ? kExitProblems : kExitFine;
}

}  // namespace

void add_repair(CLI::App& app, const Common& common, Chosen& chosen) {
  const auto options = std::make_shared<RepairOptions>();  // shared with the callback
  CLI::App* const command = app.add_subcommand(
      "repair",
      "Makes a stopped store sound: damaged records are moved to a quarantine file, damaged\n"
      "tables beside it, what is sound of them is written anew, counts are counted again. Says "
      "what it does; a second run finds nothing. Make a backup first.");
  command->add_flag("--dry-run", options->dry_run,
                    "Only say what would be done; exit 1 if anything");
  command->add_flag("--salvage-log", options->salvage_log,
                    "A damaged write-ahead log too: it is copied beside the quarantine file, and\n"
                    "what can be read of it is kept. Some of what was confirmed may be lost.");
  command
      ->add_option("--quarantine", options->quarantine,
                   "A new file for what is taken out; default: warren-quarantine-TIME.jsonl here")
      ->type_name("FILE");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return run(common, *options); };
  });
}

}  // namespace warren::dump
