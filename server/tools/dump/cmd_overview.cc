// SPDX-License-Identifier: Apache-2.0
// overview, families: the store as a whole, without reading a message.
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "storage/inspect/catalog.h"
#include "storage/inspect/store_view.h"

#include "server/tools/dump/commands.h"

namespace warren::dump {
namespace {

using boost::json::object;
using storage::Catalog;
using storage::FamilySize;
using storage::StoreView;

struct Counts {
  std::uint64_t vhosts = 0, users = 0, permissions = 0, exchanges = 0, queues = 0, bindings = 0,
                policies = 0;
  void operator()(const storage::VhostDefinition&) { ++vhosts; }
  void operator()(const storage::UserDefinition&) { ++users; }
  void operator()(const storage::PermissionDefinition&) { ++permissions; }
  void operator()(const storage::ExchangeDefinition&) { ++exchanges; }
  void operator()(const storage::QueueDefinition&) { ++queues; }
  void operator()(const storage::BindingDefinition&) { ++bindings; }
  void operator()(const storage::PolicyDefinition&) { ++policies; }
};

object family_row(std::size_t index, const FamilySize& size) {
  object row;
  row["family"] = storage::kFamilyNames[index];
  row["keys_estimate"] = size.keys_estimate;
  row["table_files"] = size.table_files;
  row["table_bytes"] = size.table_bytes;
  row["blob_files"] = size.blob_files;
  row["blob_bytes"] = size.blob_bytes;
  row["blob_garbage_bytes"] = size.blob_garbage_bytes;
  return row;
}

object overview(const StoreView& view, const Catalog& catalog) {
  const storage::ViewSizes sizes = view.database->sizes();
  Counts counts;
  for (const storage::Definition& definition : catalog.definitions) {
    std::visit(counts, definition);
  }
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t orphans = 0;
  for (const auto& [log, state] : catalog.states) {
    if (catalog.queue(log) == nullptr) {
      ++orphans;
      continue;
    }
    messages += state.live_count;
    bytes += state.live_bytes;
  }
  std::uint64_t disk = sizes.wal_bytes;
  for (const FamilySize& size : sizes.families) disk += size.table_bytes + size.blob_bytes;
  object out;
  out["data_dir"] = view.path;
  out["format"] = view.marker.format;
  out["id"] = view.marker.store_id;
  if (view.holder.has_value()) {
    out["held_by_pid"] = *view.holder;
  } else {
    out["held_by_pid"] = nullptr;
  }
  out["clean_stop"] = catalog.meta.has_value() && catalog.meta->clean_stop;
  if (catalog.meta.has_value()) out["log_id_limit"] = catalog.meta->log_id_limit;
  out["vhosts"] = counts.vhosts;
  out["users"] = counts.users;
  out["permissions"] = counts.permissions;
  out["exchanges"] = counts.exchanges;
  out["queues"] = counts.queues;
  out["bindings"] = counts.bindings;
  out["policies"] = counts.policies;
  out["logs"] = catalog.states.size();
  out["orphan_logs"] = orphans;
  out["messages"] = messages;
  out["message_bytes"] = bytes;
  out["disk_bytes"] = disk;
  out["wal_bytes"] = sizes.wal_bytes;
  out["damaged_records"] = catalog.damaged.size();
  for (const std::string& name : sizes.unknown_families) out["unknown_family_" + name] = true;
  return out;
}

void print_overview(const object& facts) {
  for (const auto& [name, value] : facts) {
    std::string text = value.is_string() ? std::string(value.get_string()) : serialize(value);
    if (name == "held_by_pid" && value.is_null()) text = "nobody";
    if (name.ends_with("_bytes"))
      text += fmt::format("  ({})", bytes_text(value.to_number<std::uint64_t>()));
    print_line(fmt::format("{:<16} {}", std::string_view(name), text));
  }
}

int families(const StoreView& view, const Common& common) {
  const storage::ViewSizes sizes = view.database->sizes();
  Listing listing(common.style(), {"family", "keys_estimate", "table_files", "table_bytes",
                                   "blob_files", "blob_bytes", "blob_garbage_bytes"});
  for (std::size_t i = 0; i < storage::kFamilyCount; ++i) {
    if (sizes.families[i].present) listing.add(family_row(i, sizes.families[i]));
  }
  listing.finish();
  return kExitFine;
}

int run_overview(const Common& common) {
  const auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  const auto catalog = storage::read_catalog(*view->database);
  if (!catalog.ok()) return fail(kExitProblems, catalog.error());
  const object facts = overview(*view, *catalog);
  if (common.json) {
    print_json(facts);
  } else {
    print_overview(facts);
  }
  for (const storage::DamagedRecord& record : catalog->damaged) {
    say("damaged: " + record.error.text);
  }
  return catalog->damaged.empty() ? kExitFine : kExitProblems;
}

int run_families(const Common& common) {
  const auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  return families(*view, common);
}

}  // namespace

void add_overview(CLI::App& app, const Common& common, Chosen& chosen) {
  app.add_subcommand("overview", "Format, id, who runs it, clean stop, sizes and counts")
      ->callback([&] { chosen = [&common] { return run_overview(common); }; });
  app.add_subcommand("families", "Column families with their files and bytes")->callback([&] {
    chosen = [&common] { return run_families(common); };
  });
}

}  // namespace warren::dump
