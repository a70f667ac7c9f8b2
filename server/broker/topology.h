// SPDX-License-Identifier: Apache-2.0
// One shard's copy of what routing needs: vhosts, exchanges, bindings, queue handles. Every shard
// applies the same changes in the same order, so a publish touches no lock and no other core. The
// control shard keeps one more copy, the authoritative one, which is ahead of the others by what is
// not durable yet. Keeps: B5.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "storage/engine/definitions.h"

#include "server/broker/broker_ids.h"
#include "server/broker/exchange/exchange.h"
#include "server/broker/policy/policy.h"
#include "server/broker/queue_settings.h"

namespace warren::broker {

class Queue;

// What everyone knows about a queue; its messages live on its home shard only.
struct QueueHandle {
  QueueDefinitionPtr definition;
  QueueId id;
  QueueSettingsPtr settings;  // of arguments and policies
  ShardIndex home = 0;
  bool stored = false;             // is_stored(*definition)
  ConnectionId owner;              // of an exclusive queue
  std::vector<Binding*> incoming;  // bindings with this queue as destination
  std::uint64_t added_by = 0;      // the operation; 0: recovered
  std::uint64_t route_mark = 0;    // the last routing that reached this queue: one copy each
  // Of a delayed-message exchange: no client may touch it.
  bool hidden() const { return !settings->delayed_exchange.empty(); }
};

// Stored on disk: durable and not tied to a connection.
bool is_stored(const storage::QueueDefinition& definition);

struct Vhost {
  std::string name;
  StringMap<std::unique_ptr<Exchange>> exchanges;
  StringMap<std::unique_ptr<QueueHandle>> queues;
  PolicyStore policies;

  Exchange* find_exchange(std::string_view exchange) const;
  QueueHandle* find_queue(std::string_view queue) const;
};

// The closed list of changes.
struct VhostAdded {
  storage::VhostDefinition definition;
};
struct ExchangeAdded {
  storage::ExchangeDefinition definition;
};
struct ExchangeRemoved {
  std::string vhost;
  std::string name;
};
struct QueueAdded {
  QueueDefinitionPtr definition;
  ShardIndex home = 0;
  ConnectionId owner;
};
struct QueueRemoved {
  std::string vhost;
  std::string name;
  QueueId id;
  ShardIndex home = 0;
};
struct BindingAdded {
  storage::BindingDefinition definition;
};
struct BindingRemoved {
  storage::BindingDefinition definition;
};
// In force at once: on what is there, and on what comes.
struct PolicySet {
  storage::PolicyDefinition definition;
};
struct PolicyCleared {
  std::string vhost;
  bool operator_policy = false;
  std::string name;
};
// Users and permissions: passed on to the shard's user store, no business of the topology.
struct AccessChanged {
  storage::DefinitionChange change;
};
using TopologyChange =
    std::variant<VhostAdded, ExchangeAdded, ExchangeRemoved, QueueAdded, QueueRemoved, BindingAdded,
                 BindingRemoved, PolicySet, PolicyCleared, AccessChanged>;

// Runs on: its shard. Owned by: BrokerShard, ControlPlane.
class Topology {
 public:
  Topology() = default;
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  // Removing an exchange or a queue removes the bindings from and to it.
  void apply(const TopologyChange& change);

  Vhost* find_vhost(std::string_view name) const;
  const StringMap<std::unique_ptr<Vhost>>& vhosts() const { return vhosts_; }

  // Grows with every change: what was looked up under another version must be looked up again.
  std::uint64_t version() const { return version_; }

 private:
  void on(const VhostAdded& change);
  void on(const ExchangeAdded& change);
  void on(const ExchangeRemoved& change);
  void on(const QueueAdded& change);
  void on(const QueueRemoved& change);
  void on(const BindingAdded& change);
  void on(const BindingRemoved& change);
  void on(const PolicySet& change);
  void on(const PolicyCleared& change);
  void on(const AccessChanged&) {}

  static void unlink(Binding& binding);
  void govern(const Vhost& vhost, QueueHandle& queue);
  static void govern(const Vhost& vhost, Exchange& exchange);
  void govern_all(const Vhost& vhost);
  QueueSettingsPtr share(QueueSettings settings);

  StringMap<std::unique_ptr<Vhost>> vhosts_;
  std::uint64_t version_ = 1;
  QueueSettingsPtr last_settings_;  // many queues in a row have the same
};

// The exchanges that every vhost has: "", amq.direct, amq.fanout, amq.topic, amq.headers,
// amq.match, amq.rabbitmq.trace.
std::vector<storage::ExchangeDefinition> predeclared_exchanges(const std::string& vhost);

// The exchange named by an "alternate-exchange" or "x-alternate-exchange" argument; empty: none.
std::string alternate_exchange(const storage::ArgumentBytes& arguments);

}  // namespace warren::broker
