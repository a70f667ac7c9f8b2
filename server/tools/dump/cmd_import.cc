// SPDX-License-Identifier: Apache-2.0
// import: what `export` wrote, into a stopped store. The file is read twice: nothing is written
// before all of it was found good.
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/base/clock.h"
#include "storage/inspect/catalog.h"
#include "storage/inspect/store_check.h"
#include "storage/inspect/store_view.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"

#include "server/amqp/field_table_codec.h"
#include "server/broker/dead_letter.h"
#include "server/broker/exchange/delayed.h"
#include "server/broker/message.h"
#include "server/broker/queue_settings.h"
#include "server/tools/dump/commands.h"
#include "server/tools/dump/definition_rules.h"
#include "server/tools/dump/export_lines.h"
#include "server/tools/dump/progress.h"
#include "server/tools/dump/store_writer.h"

namespace warren::dump {
namespace {

struct ImportOptions {
  std::string input;
  bool dry_run = false;
  bool keep = false;
};

using QueueName = std::pair<std::string, std::string>;  // vhost, name

struct Counts {
  std::uint64_t definitions = 0;  // new ones
  std::uint64_t known = 0;        // definitions that are there already, just so
  std::uint64_t messages = 0;
};

Error at_line(const std::string& path, std::uint64_t number, const Error& error) {
  return Error{error.code, fmt::format("'{}' line {}: {}", path, number, error.text)};
}

// Calls `take` with each line and its number. The first error names its line.
template <class Take>
Status for_each_line(const std::string& path, Take take) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Error{Errc::io_error,
                 fmt::format("cannot open '{}': {}", path,
                             std::error_code(errno, std::generic_category()).message())};
  }
  const std::int64_t now_ms = SystemClock().wall_ms();
  std::uint64_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    if (text.empty()) continue;
    auto line = parse_export_line(text, now_ms);
    const Status taken = line.ok() ? take(line.take(), number) : Status(line.error());
    if (!taken.ok()) return at_line(path, number, taken.error());
  }
  if (in.bad()) return Error{Errc::io_error, fmt::format("cannot read '{}'", path)};
  return {};
}

// As stored, but for the log's number, which each store gives itself.
std::string comparable(storage::Definition definition) {
  if (auto* const queue = std::get_if<storage::QueueDefinition>(&definition)) {
    queue->log = LogId(1);
    queue->log_count = 1;
  }
  return storage::encode_definition(definition);
}

// The first pass: does all of the file fit this store? What is there already, just so, is not asked
// about again.
class Rehearsal {
 public:
  Rehearsal(const std::vector<storage::Definition>& present, bool keep) : keep_(keep) {
    for (const storage::Definition& definition : present) note(definition);
    all_.definitions = present;
    present_ = present.size();
  }

  Status take(const ExportLine& line, std::uint64_t number) {
    if (ended_) return wrong("something follows the end");
    number_ = number;
    return std::visit([this](const auto& one) { return check(one); }, line);
  }
  Status finish(const std::string& path) const {
    if (!ended_) return wrong("the file has no end: it was cut short");
    // Only now: a line may refer to a later one.
    std::map<std::string, std::uint64_t> lines;
    for (std::size_t i = present_; i < all_.definitions.size(); ++i) {
      const storage::Definition& definition = all_.definitions[i];
      const std::uint64_t line = lines_[i - present_];
      lines.emplace(storage::definition_name(definition), line);
      const auto* const binding = std::get_if<storage::BindingDefinition>(&definition);
      const auto why = binding == nullptr ? std::nullopt : exchanges_.complaint(*binding);
      if (why) return at_line(path, line, refused(definition, *why));
    }
    for (const storage::Finding& finding : storage::check_references(all_)) {
      const auto found = lines.find(finding.where);
      if (found == lines.end()) continue;  // the store's own trouble
      return at_line(path, found->second, wrong(finding.where + " " + finding.what));
    }
    return {};
  }
  const Counts& counts() const { return counts_; }

 private:
  static Error wrong(std::string text) { return Error{Errc::invalid_argument, std::move(text)}; }

  static Error refused(const storage::Definition& definition, const std::string& why) {
    return wrong(fmt::format("{}: {}", storage::definition_name(definition), why));
  }

  void note(const storage::Definition& definition) {
    if (const auto* const queue = std::get_if<storage::QueueDefinition>(&definition)) {
      queues_.emplace(queue->vhost, queue->name);
    }
    exchanges_.add(definition);
    known_[storage::encode_definition_key(definition)] = comparable(definition);
  }
  Status check(const ExportHead&) {
    if (std::exchange(headed_, true)) return wrong("a second head");
    return {};
  }
  Status check(const storage::Definition& definition) {
    if (!headed_) return wrong("the file does not begin as an export");
    const auto found = known_.find(storage::encode_definition_key(definition));
    if (found == known_.end()) {
      if (const auto why = definition_complaint(definition)) return refused(definition, *why);
      ++counts_.definitions;
      note(definition);
      all_.definitions.push_back(definition);
      lines_.push_back(number_);
      return {};
    }
    if (found->second != comparable(definition) && !keep_) {
      return wrong(fmt::format("{} exists and is different", storage::definition_name(definition)));
    }
    ++counts_.known;
    return {};
  }
  Status check(const ExportedMessage& message) {
    if (!headed_) return wrong("the file does not begin as an export");
    if (!queues_.contains(QueueName(message.vhost, message.queue))) {
      storage::QueueDefinition queue;
      queue.vhost = message.vhost;
      queue.name = message.queue;
      return wrong(
          fmt::format("a message of {}, which does not exist", storage::definition_name(queue)));
    }
    ++counts_.messages;
    return {};
  }
  Status check(const ExportEnd& end) {
    if (!headed_) return wrong("the file does not begin as an export");
    if (end.messages != counts_.messages) {
      return wrong(
          fmt::format("the file says {} messages and has {}", end.messages, counts_.messages));
    }
    ended_ = true;
    return {};
  }

  const bool keep_;
  std::map<std::string, std::string> known_;  // key -> comparable
  std::set<QueueName> queues_;
  ExchangeSet exchanges_;
  storage::Catalog all_;  // its definitions: the store's, then the file's
  std::size_t present_ = 0;
  std::vector<std::uint64_t> lines_;  // of the file's
  std::uint64_t number_ = 0;
  Counts counts_;
  bool headed_ = false;
  bool ended_ = false;
};

class Importer {
  struct Target {
    LogId log;
    std::uint32_t log_count = 1;
    bool delayed = false;  // it gives its messages back by their due times only
  };

 public:
  explicit Importer(StoreWriter& writer) : writer_(writer) {
    for (const storage::Definition& definition : writer.definitions()) {
      known_.insert(storage::encode_definition_key(definition));
      if (const auto* const queue = std::get_if<storage::QueueDefinition>(&definition)) {
        know(*queue);
      }
    }
  }

  Status take(ExportLine line) {
    if (auto* const definition = std::get_if<storage::Definition>(&line)) {
      define(std::move(*definition));
    } else if (auto* const message = std::get_if<ExportedMessage>(&line)) {
      bytes_ += message->block->size();
      if (!append(std::move(*message))) return Error{Errc::io_error, "the store failed"};
    }
    return {};
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void define(storage::Definition definition) {
    if (!known_.insert(storage::encode_definition_key(definition)).second) return;
    if (auto* const queue = std::get_if<storage::QueueDefinition>(&definition)) {
      queue->log_count = broker::log_count(queue->arguments);
      storage::QueueDefinition known = *queue;
      known.log = writer_.define(std::move(definition));
      know(known);
      return;
    }
    std::optional<storage::QueueDefinition> delayed;
    if (const auto* const exchange = std::get_if<storage::ExchangeDefinition>(&definition);
        exchange != nullptr && broker::delays(*exchange)) {
      delayed = broker::delay_queue(*exchange);
    }
    writer_.define(std::move(definition));
    // Nothing else would make the queue in which it keeps what is not due.
    if (delayed) define(std::move(*delayed));
  }

  // As the queue itself would have kept it.
  bool append(ExportedMessage message) {
    const Target& queue = queues_.at(QueueName(message.vhost, message.queue));
    const broker::MessageView view(*message.block);
    const std::uint32_t lane = std::min<std::uint32_t>(view.priority(), queue.log_count - 1);
    StoreWriter::Message out;
    out.log = LogId(queue.log.value + lane);
    out.notes.weight = view.body().size();
    out.notes.returns = message.returns;
    if (queue.delayed) {
      out.notes.due_ms = broker::delayed_until(view);
    } else if (const auto life = broker::expiration_of(view)) {
      out.notes.due_ms = view.published_ms() + *life;
    }
    out.block = std::move(message.block);
    return writer_.append(std::move(out));
  }

  void know(const storage::QueueDefinition& queue) {
    const auto arguments = amqp::decode_table(queue.arguments);
    const bool delayed = arguments.ok() && arguments->contains(broker::kDelayedExchangeArgument);
    queues_[QueueName(queue.vhost, queue.name)] = Target{queue.log, queue.log_count, delayed};
  }

  StoreWriter& writer_;
  std::set<std::string> known_;
  std::map<QueueName, Target> queues_;
  std::uint64_t bytes_ = 0;
};

Result<Counts> rehearse(const Common& common, const ImportOptions& options) {
  std::vector<storage::Definition> present;
  {
    WARREN_TRY(const storage::StoreView view, storage::open_store_view(common.data_dir));
    WARREN_TRY(storage::Catalog catalog, storage::read_catalog(*view.database));
    present = std::move(catalog.definitions);
  }
  Rehearsal rehearsal(present, options.keep);
  WARREN_CHECK(for_each_line(options.input, [&](const ExportLine& line, std::uint64_t number) {
    return rehearsal.take(line, number);
  }));
  WARREN_CHECK(rehearsal.finish(options.input));
  return rehearsal.counts();
}

int report(const Common& common, const Counts& counts, bool done) {
  if (common.json) {
    print_json({{"imported", done},
                {"definitions", counts.definitions},
                {"definitions_present", counts.known},
                {"messages", counts.messages}});
  } else {
    print_line(fmt::format("{} {} definitions ({} were there already) and {} messages",
                           done ? "imported" : "would import", counts.definitions, counts.known,
                           counts.messages));
  }
  return kExitFine;
}

int run(const Common& common, const ImportOptions& options) {
  // Not a new store by mistake: a directory that is none is refused here.
  if (const auto marker = storage::read_store_marker(common.data_dir); !marker.ok()) {
    return cannot_open(marker.error());
  }
  if (options.dry_run) {
    const auto counts = rehearse(common, options);
    return counts.ok() ? report(common, *counts, false) : fail(kExitProblems, counts.error());
  }
  const auto counts = rehearse(common, options);
  if (!counts.ok()) return fail(kExitProblems, counts.error());
  const auto writer = StoreWriter::open(common.data_dir);
  if (!writer.ok()) return cannot_open(writer.error());
  Importer importer(**writer);
  Progress progress("importing", 0);
  const Status taken = for_each_line(options.input, [&](ExportLine line, std::uint64_t) {
    const Status one = importer.take(std::move(line));
    progress.update(importer.bytes());
    return one;
  });
  const Status finished = (*writer)->finish();
  progress.finish();
  if (!taken.ok()) return fail(kExitProblems, taken.error());
  if (!finished.ok()) return fail(kExitProblems, finished.error());
  return report(common, *counts, true);
}

}  // namespace

void add_import(CLI::App& app, const Common& common, Chosen& chosen) {
  const auto options = std::make_shared<ImportOptions>();  // shared with the callback
  CLI::App* const command = app.add_subcommand(
      "import",
      "Puts what `export` wrote into a stopped store: definitions that are missing, and\n"
      "the messages behind those of their queues. The file is checked first; fsynced.");
  command->add_option("FILE", options->input, "What `export` wrote")->required();
  command->add_flag("--keep", options->keep,
                    "What exists and is different stays as it is, instead of stopping the import");
  command->add_flag("--dry-run", options->dry_run, "Check the file against the store, no more");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return run(common, *options); };
  });
}

}  // namespace warren::dump
