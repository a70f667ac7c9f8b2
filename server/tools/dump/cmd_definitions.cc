// SPDX-License-Identifier: Apache-2.0
// vhosts, exchanges, queues, bindings, users, permissions: the definitions, without a message read.
#include <CLI/CLI.hpp>

#include "storage/inspect/catalog.h"
#include "storage/inspect/store_view.h"

#include "server/tools/dump/commands.h"
#include "server/tools/dump/message_json.h"
#include "server/tools/dump/queue_walk.h"

namespace warren::dump {
namespace {

using boost::json::object;
using storage::Catalog;

object row_of(const Catalog&, const storage::VhostDefinition& vhost) {
  object row;
  put_bytes(row, "vhost", vhost.name);
  return row;
}

// No hash: what is printed is copied into tickets.
object row_of(const Catalog&, const storage::UserDefinition& user) {
  object row;
  put_bytes(row, "user", user.name);
  row["password"] = !user.password_hash.empty();
  row["hashing"] = user.hashing_algorithm;
  std::string tags;
  for (const std::string& tag : user.tags) tags += (tags.empty() ? "" : ",") + tag;
  put_bytes(row, "tags", tags);
  return row;
}

object row_of(const Catalog&, const storage::PermissionDefinition& permission) {
  object row;
  put_bytes(row, "user", permission.user);
  put_bytes(row, "vhost", permission.vhost);
  put_bytes(row, "configure", permission.configure);
  put_bytes(row, "write", permission.write);
  put_bytes(row, "read", permission.read);
  return row;
}

object row_of(const Catalog&, const storage::ExchangeDefinition& exchange) {
  object row;
  put_bytes(row, "vhost", exchange.vhost);
  put_bytes(row, "exchange", exchange.name);
  row["type"] = exchange.type;
  row["durable"] = exchange.durable;
  row["auto_delete"] = exchange.auto_delete;
  row["internal"] = exchange.internal;
  row["arguments"] = table_json(exchange.arguments);
  return row;
}

object row_of(const Catalog& catalog, const storage::QueueDefinition& queue) {
  const QueueCounts counts = queue_counts(catalog, queue);
  object row;
  put_bytes(row, "vhost", queue.vhost);
  put_bytes(row, "queue", queue.name);
  row["messages"] = counts.messages;
  row["bytes"] = counts.bytes;
  row["log"] = queue.log.value;
  row["durable"] = queue.durable;
  row["exclusive"] = queue.exclusive;
  row["auto_delete"] = queue.auto_delete;
  row["arguments"] = table_json(queue.arguments);
  return row;
}

object row_of(const Catalog&, const storage::BindingDefinition& binding) {
  object row;
  put_bytes(row, "vhost", binding.vhost);
  put_bytes(row, "source", binding.source);
  const bool to_queue = binding.destination_kind == storage::BindingDestination::queue;
  row["to"] = to_queue ? "queue" : "exchange";
  put_bytes(row, "destination", binding.destination);
  put_bytes(row, "routing_key", binding.routing_key);
  row["arguments"] = table_json(binding.arguments);
  return row;
}

object row_of(const Catalog&, const storage::PolicyDefinition& policy) {
  object row;
  put_bytes(row, "vhost", policy.vhost);
  put_bytes(row, "policy", policy.name);
  row["operator"] = policy.operator_policy;
  put_bytes(row, "pattern", policy.pattern);
  row["apply_to"] = storage::kPolicyTargetNames.at(static_cast<std::size_t>(policy.apply_to));
  row["priority"] = policy.priority;
  row["definition"] = table_json(policy.definition);
  return row;
}

template <class Kind>
int list(const Common& common, const std::vector<std::string>& columns) {
  const auto view = storage::open_store_view(common.data_dir);
  if (!view.ok()) return cannot_open(view.error());
  const auto catalog = storage::read_catalog(*view->database);
  if (!catalog.ok()) return fail(kExitProblems, catalog.error());
  Listing listing(common.style(), columns);
  for (const storage::Definition& definition : catalog->definitions) {
    if (const auto* const one = std::get_if<Kind>(&definition)) {
      listing.add(row_of(*catalog, *one));
    }
  }
  listing.finish();
  int code = kExitFine;
  for (const storage::DamagedRecord& record : catalog->damaged) {
    if (record.family != storage::Family::definitions) continue;
    say("damaged and left out: " + record.error.text);
    code = kExitProblems;
  }
  return code;
}

template <class Kind>
void add_list(CLI::App& app, const Common& common, Chosen& chosen, const char* name,
              const char* text, const std::vector<std::string>& columns) {
  app.add_subcommand(name, text)->callback([&common, &chosen, columns] {
    chosen = [&common, columns] { return list<Kind>(common, columns); };
  });
}

}  // namespace

void add_definitions(CLI::App& app, const Common& common, Chosen& chosen) {
  add_list<storage::VhostDefinition>(app, common, chosen, "vhosts", "Virtual hosts", {"vhost"});
  add_list<storage::ExchangeDefinition>(
      app, common, chosen, "exchanges", "Durable exchanges (built-in ones are not stored)",
      {"vhost", "exchange", "type", "durable", "auto_delete", "internal", "arguments"});
  add_list<storage::QueueDefinition>(
      app, common, chosen, "queues", "Durable queues with their stored messages, at once",
      {"vhost", "queue", "messages", "bytes", "log", "exclusive", "auto_delete", "arguments"});
  add_list<storage::BindingDefinition>(
      app, common, chosen, "bindings", "Bindings between durable ends",
      {"vhost", "source", "to", "destination", "routing_key", "arguments"});
  add_list<storage::UserDefinition>(app, common, chosen, "users", "Users, without their hashes",
                                    {"user", "password", "hashing", "tags"});
  add_list<storage::PermissionDefinition>(app, common, chosen, "permissions",
                                          "What users may configure, write and read",
                                          {"user", "vhost", "configure", "write", "read"});
  add_list<storage::PolicyDefinition>(
      app, common, chosen, "policies", "Settings by pattern, of users and of the operator",
      {"vhost", "policy", "operator", "pattern", "apply_to", "priority", "definition"});
}

}  // namespace warren::dump
