// SPDX-License-Identifier: Apache-2.0
// export: definitions and messages as JSON lines (docs/dump.md).
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/inspect/store_view.h"

#include "server/tools/dump/commands.h"
#include "server/tools/dump/export_lines.h"
#include "server/tools/dump/filter_options.h"

namespace warren::dump {
namespace {

struct ExportOptions {
  FilterOptions filter;
  std::uint64_t limit = 0;
  bool users = false;
  bool definitions_only = false;
  std::string output;
};

// Stdout, or a file that is fsynced when it is whole.
class Output {
 public:
  static Result<std::unique_ptr<Output>> open(const std::string& path) {
    if (path.empty()) return std::make_unique<Output>(stdout);
    std::FILE* const file = create_private_file(path);
    if (file != nullptr) return std::make_unique<Output>(file);
    return Error{Errc::io_error,
                 fmt::format("cannot create '{}': {}", path,
                             std::error_code(errno, std::generic_category()).message())};
  }
  explicit Output(std::FILE* file) : file_(file) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (file_ != stdout) std::fclose(file_);
  }

  bool put(const boost::json::object& object) {
    const std::string line = boost::json::serialize(object);
    std::fwrite(line.data(), 1, line.size(), file_);
    std::fputc('\n', file_);
    return std::ferror(file_) == 0;
  }
  Status finish() {
    const bool written = std::fflush(file_) == 0 && std::ferror(file_) == 0;
    if (written && (file_ == stdout || ::fsync(::fileno(file_)) == 0)) return {};
    return Error{Errc::io_error, "the export could not be written"};
  }

 private:
  std::FILE* const file_;
};

class Exporter {
 public:
  Exporter(const storage::StoreView& view, const storage::Catalog& catalog,
           const ExportOptions& options, const MessageFilter& filter, Output& out)
      : view_(view), catalog_(catalog), options_(options), filter_(filter), out_(out) {}

  int run() {
    out_.put(export_head(view_.marker.store_id, SystemClock().wall_ms()));
    for (const storage::Definition& definition : catalog_.definitions) {
      if (wanted(definition)) out_.put(export_definition(definition));
    }
    if (!options_.definitions_only) {
      for (const storage::Definition& definition : catalog_.definitions) {
        const auto* const queue = std::get_if<storage::QueueDefinition>(&definition);
        if (queue != nullptr && wanted(definition)) put_messages(*queue);
      }
    }
    out_.put(export_end(messages_));
    if (const Status written = out_.finish(); !written.ok()) {
      return fail(kExitProblems, written.error());
    }
    return code_;
  }

 private:
  bool wanted(const storage::Definition& definition) const {
    if (std::holds_alternative<storage::UserDefinition>(definition) ||
        std::holds_alternative<storage::PermissionDefinition>(definition)) {
      return options_.users;
    }
    if (options_.filter.queue.empty()) return true;
    // Of one queue: it, its vhost and what leads to it.
    const FilterOptions& only = options_.filter;
    if (const auto* vhost = std::get_if<storage::VhostDefinition>(&definition)) {
      return vhost->name == only.vhost;
    }
    const auto* const queue = std::get_if<storage::QueueDefinition>(&definition);
    return queue != nullptr && queue->vhost == only.vhost && queue->name == only.queue;
  }

  void put_messages(const storage::QueueDefinition& queue) {
    std::uint64_t of_queue = 0;
    WalkHandlers handlers;
    handlers.on_message = [&](const FoundMessage& found) {
      ExportedMessage message;
      message.vhost = queue.vhost;
      message.queue = queue.name;
      message.lane = found.lane;
      message.returns = found.returns;
      message.seq = found.seq;
      message.block = found.block;
      ++messages_;
      ++of_queue;
      return out_.put(export_message(message)) &&
             (options_.limit == 0 || of_queue < options_.limit);
    };
    handlers.on_damage = [&](const std::string& what) {
      say(fmt::format("damaged and left out: {}: {}", storage::definition_name(queue), what));
      code_ = kExitProblems;
    };
    walk_queue(*view_.database, catalog_, queue, filter_, handlers);
  }

  const storage::StoreView& view_;
  const storage::Catalog& catalog_;
  const ExportOptions& options_;
  const MessageFilter& filter_;
  Output& out_;
  std::uint64_t messages_ = 0;
  int code_ = kExitFine;
};

int run(const Common& common, const ExportOptions& options) {
  const auto filter = make_filter(options.filter, SystemClock().wall_ms());
  if (!filter.ok()) return fail(kExitUsage, filter.error());
  const auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  const auto catalog = storage::read_catalog(*view->database);
  if (!catalog.ok()) return fail(kExitProblems, catalog.error());
  const FilterOptions& only = options.filter;
  if (!only.queue.empty() && find_queue(*catalog, only.vhost, only.queue) == nullptr) {
    return fail(kExitProblems, no_such_queue(only));
  }
  const auto out = Output::open(options.output);
  if (!out.ok()) return cannot_open(out.error());
  const int code = Exporter(*view, *catalog, options, *filter, **out).run();
  for (const storage::DamagedRecord& record : catalog->damaged) {
    say("damaged and left out: " + record.error.text);
  }
  return catalog->damaged.empty() ? code : kExitProblems;
}

}  // namespace

void add_export(CLI::App& app, const Common& common, Chosen& chosen) {
  const auto options = std::make_shared<ExportOptions>();  // shared with the callback
  CLI::App* const command = app.add_subcommand(
      "export",
      "Definitions and messages as JSON lines, of one queue or of all: `import` makes\n"
      "the same bytes of them. The format is open: docs/dump.md.");
  add_filter_options(*command, options->filter, QueueOption::optional);
  must_be_whole_number(
      *command->add_option("--limit", options->limit, "At most so many messages of a queue; 0: all")
           ->type_name("N"));
  command->add_flag("--users", options->users,
                    "Users and permissions too, with their password hashes");
  command->add_flag("--definitions", options->definitions_only, "No messages");
  command->add_option("--output,-o", options->output, "A new file, fsynced; else stdout")
      ->type_name("FILE");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return run(common, *options); };
  });
}

}  // namespace warren::dump
