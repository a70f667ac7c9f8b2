// SPDX-License-Identifier: Apache-2.0
// What the store keeps beside messages: vhosts, users, exchanges, queues, bindings, as plain
// structs. Users of the store include storage/engine/definitions.h. Bytes: definition_record.h.
#pragma once

#include <cstdint>
#include <string>
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

using Definition = std::variant<VhostDefinition, UserDefinition, PermissionDefinition,
                                ExchangeDefinition, QueueDefinition, BindingDefinition>;

// One change of the definitions. `remove` looks at the identity of the definition only (names; all
// fields for a binding).
struct DefinitionChange {
  enum class Kind : std::uint8_t { put, remove };
  Kind kind = Kind::put;
  Definition definition;
};

}  // namespace warren::storage
