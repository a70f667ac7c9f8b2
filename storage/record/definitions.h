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

struct QueueDefinition {
  std::string vhost;
  std::string name;
  LogId log;
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = false;
  ArgumentBytes arguments;
};

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
