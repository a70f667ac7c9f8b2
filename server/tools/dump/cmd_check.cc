// SPDX-License-Identifier: Apache-2.0
// check, stats: the commands that read every message.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/inspect/store_check.h"
#include "storage/inspect/store_stats.h"
#include "storage/inspect/store_view.h"

#include "server/tools/dump/commands.h"
#include "server/tools/dump/definition_rules.h"
#include "server/tools/dump/progress.h"

namespace warren::dump {
namespace {

using boost::json::object;

// What a walk over all chunks will read, nearly.
std::uint64_t chunk_bytes(const storage::ViewSizes& sizes) {
  const auto& log = sizes.families[storage::family_index(storage::Family::queue_log)];
  return log.table_bytes + log.blob_bytes - std::min(log.blob_bytes, log.blob_garbage_bytes) +
         sizes.wal_bytes;
}

void print_finding(const storage::Finding& finding, bool json) {
  if (!json) {
    print_line(storage::to_text(finding));
    return;
  }
  object row;
  row["harm"] = storage::to_text(finding.harm);
  row["promise"] = finding.promise;
  put_bytes(row, "where", finding.where);
  put_bytes(row, "what", finding.what);
  print_json(row);
}

void print_summary(const storage::StoreCheck& result, bool json) {
  if (!json) {
    print_line(fmt::format(
        "checked {} definitions, {} logs, {} chunks, {} messages of {}: {}", result.definitions,
        result.logs, result.chunks, result.messages, bytes_text(result.bytes),
        result.findings == 0 ? "all fits" : fmt::format("{} findings", result.findings)));
    return;
  }
  object row;
  row["definitions"] = result.definitions;
  row["logs"] = result.logs;
  row["chunks"] = result.chunks;
  row["messages"] = result.messages;
  row["message_bytes"] = result.bytes;
  row["findings"] = result.findings;
  print_json(row);
}

int run_check(const Common& common) {
  auto view = storage::open_store_view(common.data_dir, storage::Tables::mended);
  if (!view.ok()) return cannot_open(view.error());
  const storage::ViewSizes sizes = view->database->sizes();
  Progress progress("checking", chunk_bytes(sizes));
  storage::CheckObserver observer;
  observer.on_finding = [&](const storage::Finding& finding) {
    progress.clear();
    print_finding(finding, common.json);
  };
  observer.on_progress = [&](const storage::CheckProgress& at) { progress.update(at.bytes); };
  const auto catalog = storage::read_catalog(*view->database);
  if (!catalog.ok()) return fail(kExitProblems, catalog.error());
  std::vector<storage::Finding> extra = storage::check_references(*catalog);
  for (storage::Finding& finding : check_definitions(*catalog)) extra.push_back(std::move(finding));
  if (catalog->meta.has_value() && catalog->meta->store_id != view->marker.store_id) {
    extra.push_back({storage::Harm::store, "S9", "store",
                     fmt::format("the database belongs to store '{}', the directory to '{}'",
                                 catalog->meta->store_id, view->marker.store_id)});
  }
  for (storage::Finding& finding : storage::check_files(*view)) extra.push_back(std::move(finding));
  for (const storage::Finding& finding : extra) observer.on_finding(finding);
  auto result = storage::check_store(*view->database, observer);
  progress.finish();
  if (!result.ok()) return fail(kExitProblems, result.error());
  result->findings += extra.size();
  print_summary(*result, common.json);
  return result->findings == 0 ? kExitFine : kExitProblems;
}

object usage_row(const storage::Catalog& catalog, LogId log, const storage::LogUsage& usage) {
  object row;
  const storage::QueueDefinition* const queue = catalog.queue(log);
  put_bytes(row, "vhost", queue == nullptr ? "" : queue->vhost);
  put_bytes(row, "queue", queue == nullptr ? "(no queue)" : queue->name);
  row["log"] = log.value;
  row["messages"] = usage.live_messages;
  row["live_bytes"] = usage.live_bytes;
  row["chunks"] = usage.chunks;
  row["stored_bytes"] = usage.stored_bytes;
  row["settled_bytes"] = usage.settled_bytes;
  row["damaged_chunks"] = usage.damaged_chunks;
  return row;
}

int run_stats(const Common& common) {
  const auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  const auto catalog = storage::read_catalog(*view->database);
  if (!catalog.ok()) return fail(kExitProblems, catalog.error());
  const storage::ViewSizes sizes = view->database->sizes();
  Progress progress("measuring", chunk_bytes(sizes));
  const auto usage = storage::measure_logs(
      *view->database, [&progress](std::uint64_t bytes) { progress.update(bytes); });
  progress.finish();
  if (!usage.ok()) return fail(kExitProblems, usage.error());
  const auto bodies = storage::measure_bodies(*view->database);
  if (!bodies.ok()) return fail(kExitProblems, bodies.error());
  Listing listing(common.style(), {"vhost", "queue", "log", "messages", "live_bytes", "chunks",
                                   "stored_bytes", "settled_bytes", "damaged_chunks"});
  std::uint64_t orphan_bytes = 0;
  std::uint64_t settled_bytes = 0;
  for (const auto& [log, one] : *usage) {
    listing.add(usage_row(*catalog, log, one));
    if (catalog->queue(log) == nullptr) orphan_bytes += one.stored_bytes;
    settled_bytes += one.settled_bytes;
  }
  listing.finish();
  std::uint64_t garbage = 0;
  for (const storage::FamilySize& size : sizes.families) garbage += size.blob_garbage_bytes;
  if (common.json) {
    print_json({{"shared_bodies", bodies->bodies},
                {"shared_bodies_bytes", bodies->bytes},
                {"shared_bodies_references", bodies->references},
                {"reclaimable_by_compaction_bytes", garbage},
                {"reclaimable_at_next_start_bytes", orphan_bytes},
                {"reclaimable_with_their_chunk_bytes", settled_bytes}});
    return kExitFine;
  }
  print_line(fmt::format("bodies stored once for several queues: {} of {}, {} references",
                         bodies->bodies, bytes_text(bodies->bytes), bodies->references));
  print_line(
      fmt::format("reclaimable: {} in blob files by the next compaction, {} of no queue at "
                  "the next start, {} of settled messages when the rest of their chunks is",
                  bytes_text(garbage), bytes_text(orphan_bytes), bytes_text(settled_bytes)));
  return kExitFine;
}

}  // namespace

void add_check(CLI::App& app, const Common& common, Chosen& chosen) {
  app.add_subcommand("check",
                     "Reads everything and says what does not fit together: what, where, how\n"
                     "bad (harmless, counters, repeats, messages, store). Exit 1 if anything.")
      ->callback([&] { chosen = [&common] { return run_check(common); }; });
}

void add_stats(CLI::App& app, const Common& common, Chosen& chosen) {
  app.add_subcommand("stats", "Bytes by queue, and what of them can be given back")->callback([&] {
    chosen = [&common] { return run_stats(common); };
  });
}

}  // namespace warren::dump
