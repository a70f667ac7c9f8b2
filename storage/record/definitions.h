// SPDX-License-Identifier: Apache-2.0
// What the store keeps beside messages: vhosts, users, exchanges, queues, bindings, policies, as
// plain structs. Users of the store include storage/engine/definitions.h. Bytes:
// definition_record.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "storage/base/ids.h"

namespace warren::storage {

// An encoded AMQP field table, kept opaque: storage never looks inside.
using ArgumentBytes = std::string;

struct VhostDefinition {
  std::string name;
};

struct UserDefinition {
  std::string name;
  std::string
      password_hash;  // base64(4-byte salt + hash(salt + password)); empty: no password login
  std::string hashing_algorithm;  // "rabbit_password_hashing_sha256"
  std::vector<std::string> tags;
};

struct PermissionDefinition {
  std::string user;
  std::string vhost;
  std::string configure;  // regular expressions, unanchored; empty allows nothing
  std::string write;
  std::string read;
};

struct ExchangeDefinition {
  std::string vhost;
  std::string name;
  std::string type;
  bool durable = false;
  bool auto_delete = false;
  bool internal = false;
  ArgumentBytes arguments;
};

// One for each priority.
inline constexpr std::uint32_t kLogsPerQueueMax = 256;

struct QueueDefinition {
  std::string vhost;
  std::string name;
  LogId log;  // the first of `log_count` with consecutive numbers: one for each priority
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = false;
  ArgumentBytes arguments;
  std::uint32_t log_count = 1;
};

inline std::vector<LogId> logs_of(const QueueDefinition& queue) {
  std::vector<LogId> logs;
  for (std::uint32_t i = 0; i < queue.log_count; ++i) logs.emplace_back(queue.log.value + i);
  return logs;
}

enum class BindingDestination : std::uint8_t { queue = 0, exchange = 1 };

// Identity: all fields. Two bindings that differ in arguments alone are two bindings.
struct BindingDefinition {
  std::string vhost;
  std::string source;
  BindingDestination destination_kind = BindingDestination::queue;
  std::string destination;
  std::string routing_key;
  ArgumentBytes arguments;
};

// What a policy is for. Never renumber: it is on disk.
enum class PolicyTarget : std::uint8_t {
  all = 0,
  queues = 1,
  classic_queues = 2,
  quorum_queues = 3,
  streams = 4,
  exchanges = 5,
};
inline constexpr std::array<std::string_view, 6> kPolicyTargetNames = {
    "all", "queues", "classic_queues", "quorum_queues", "streams", "exchanges"};

// Settings for all queues and exchanges whose name matches. Identity: vhost, operator_policy, name.
struct PolicyDefinition {
  std::string vhost;
  bool operator_policy = false;  // bounds what arguments and user policies say
  std::string name;
  std::string pattern;  // an unanchored regular expression
  PolicyTarget apply_to = PolicyTarget::all;
  std::int32_t priority = 0;  // the highest one that matches counts, alone
  ArgumentBytes definition;   // the settings
};

using Definition =
    std::variant<VhostDefinition, UserDefinition, PermissionDefinition, ExchangeDefinition,
                 QueueDefinition, BindingDefinition, PolicyDefinition>;

// One change of the definitions. `remove` looks at the identity of the definition only (names; all
// fields for a binding).
struct DefinitionChange {
  enum class Kind : std::uint8_t { put, remove };
  Kind kind = Kind::put;
  Definition definition;
};

}  // namespace warren::storage
