// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/catalog.h"

#include <utility>

#include <fmt/format.h>

#include "storage/base/log.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

// Above every key of every family.
const std::string kPastTheEnd(32, '\xFF');

struct NameOf {
  std::string operator()(const VhostDefinition& vhost) const {
    return fmt::format("vhost '{}'", printable(vhost.name));
  }
  std::string operator()(const UserDefinition& user) const {
    return fmt::format("user '{}'", printable(user.name));
  }
  std::string operator()(const PermissionDefinition& permission) const {
    return fmt::format("permission of '{}' in vhost '{}'", printable(permission.user),
                       printable(permission.vhost));
  }
  std::string operator()(const ExchangeDefinition& exchange) const {
    return fmt::format("exchange '{}' in vhost '{}'", printable(exchange.name),
                       printable(exchange.vhost));
  }
  std::string operator()(const QueueDefinition& queue) const {
    return fmt::format("queue '{}' in vhost '{}'", printable(queue.name), printable(queue.vhost));
  }
  std::string operator()(const BindingDefinition& binding) const {
    const bool to_queue = binding.destination_kind == BindingDestination::queue;
    return fmt::format("binding '{}' of exchange '{}' to {} '{}' in vhost '{}'",
                       printable(binding.routing_key), printable(binding.source),
                       to_queue ? "queue" : "exchange", printable(binding.destination),
                       printable(binding.vhost));
  }
  std::string operator()(const PolicyDefinition& policy) const {
    return fmt::format("{} '{}' in vhost '{}'",
                       policy.operator_policy ? "operator policy" : "policy",
                       printable(policy.name), printable(policy.vhost));
  }
};

void note_damage(Catalog& out, Family family, const KvCursor& cursor, Error error) {
  out.damaged.push_back(DamagedRecord{family, std::string(cursor.key()),
                                      std::string(cursor.value()), std::move(error)});
}

Status read_meta(KvStore& store, Catalog& out) {
  WARREN_TRY(const auto bytes, store.get(Family::meta, kStoreMetaKey));
  if (!bytes.has_value()) return {};
  auto meta = decode_store_meta(*bytes);
  if (meta.ok()) {
    out.meta = meta.take();
  } else {
    out.damaged.push_back(
        DamagedRecord{Family::meta, std::string(kStoreMetaKey), *bytes, meta.error()});
  }
  return {};
}

Status read_definitions(KvStore& store, Catalog& out) {
  const auto cursor = store.scan(Family::definitions, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    auto definition = decode_definition(cursor->key(), cursor->value());
    if (!definition.ok()) {
      note_damage(out, Family::definitions, *cursor, definition.error());
      continue;
    }
    const std::size_t index = out.definitions.size();
    out.definitions.push_back(definition.take());
    if (const auto* const queue = std::get_if<QueueDefinition>(&out.definitions.back())) {
      bool shared = false;
      for (const LogId log : logs_of(*queue)) {
        const auto [at, fresh] = out.queue_of_log.emplace(log, index);
        if (!fresh && !std::exchange(shared, true)) out.shared_logs.emplace_back(at->second, index);
      }
    }
  }
  return cursor->status();
}

Status read_states(KvStore& store, Catalog& out) {
  const auto cursor = store.scan(Family::queue_state, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    const auto log = decode_log_key(cursor->key());
    const auto state = decode_log_state(cursor->value());
    if (!log.has_value()) {
      note_damage(out, Family::queue_state, *cursor,
                  Error{Errc::corruption, "queue state under a malformed key"});
    } else if (!state.ok()) {
      note_damage(out, Family::queue_state, *cursor, state.error());
    } else {
      out.states.emplace(*log, *state);
    }
  }
  return cursor->status();
}

}  // namespace

const QueueDefinition* Catalog::queue(LogId log) const {
  const auto found = queue_of_log.find(log);
  if (found == queue_of_log.end()) return nullptr;
  return std::get_if<QueueDefinition>(&definitions[found->second]);
}

LogStateRecord Catalog::state(LogId log) const {
  const auto found = states.find(log);
  return found == states.end() ? LogStateRecord{} : found->second;
}

std::string Catalog::log_name(LogId log) const {
  const auto found = queue_of_log.find(log);
  if (found == queue_of_log.end()) return "no queue";
  return definition_name(definitions[found->second]);
}

Result<Catalog> read_catalog(KvStore& store) {
  Catalog out;
  WARREN_CHECK(read_meta(store, out));
  WARREN_CHECK(read_definitions(store, out));
  WARREN_CHECK(read_states(store, out));
  return out;
}

std::string definition_name(const Definition& definition) {
  return std::visit(NameOf(), definition);
}

}  // namespace warren::storage
