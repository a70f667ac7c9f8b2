// SPDX-License-Identifier: Apache-2.0
#include "server/broker/definition_check.h"

#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/wire_types.h"
#include "server/auth/pattern.h"
#include "server/broker/arguments.h"
#include "server/broker/exchange/delayed.h"
#include "server/broker/exchange/exchange_types.h"
#include "server/broker/exchange_arguments.h"
#include "server/broker/policy/policy.h"
#include "server/broker/topology.h"

namespace warren::broker {
namespace {

using Complaint = std::optional<std::string>;

// Without the name of the reply code: there is no reply.
Complaint text_of(const std::optional<amqp::AmqpError>& error) {
  if (!error) return std::nullopt;
  const std::size_t end = error->text.find(" - ");
  return end == std::string::npos ? error->text : error->text.substr(end + 3);
}

std::string object_name(std::string_view kind, std::string_view name, std::string_view vhost) {
  return fmt::format("{} '{}' in vhost '{}'", kind, printable(name), printable(vhost));
}

// Longer names no client could say.
Complaint check_name(std::string_view what, std::string_view name) {
  if (name.size() <= amqp::kShortStringBytesMax) return std::nullopt;
  return fmt::format("the {} is longer than {} bytes", what, amqp::kShortStringBytesMax);
}

Complaint check_own_name(std::string_view name) {
  if (name.empty()) return "the name is empty";
  return check_name("name", name);
}

Complaint check(const storage::VhostDefinition& vhost) {
  return check_own_name(vhost.name);
}

Complaint check(const storage::UserDefinition& user) {
  return check_own_name(user.name);
}

Complaint check(const storage::PermissionDefinition& permission) {
  for (const std::string& pattern : {permission.configure, permission.write, permission.read}) {
    if (auth::valid_pattern(pattern)) continue;
    return fmt::format("the pattern '{}' is not a regular expression that can be used",
                       printable(pattern));
  }
  return std::nullopt;
}

Complaint check(const storage::ExchangeDefinition& exchange) {
  if (auto why = check_own_name(exchange.name)) return why;
  if (exchange.name.starts_with("amq.")) return "names that begin with 'amq.' are reserved";
  if (!exchange.durable) return "only what is durable can be stored";
  if (!is_exchange_type(exchange.type)) {
    return fmt::format("unknown exchange type '{}'", printable(exchange.type));
  }
  const std::string object = object_name("exchange", exchange.name, exchange.vhost);
  return text_of(
      check_exchange_arguments(exchange.type, amqp::decode_or_empty(exchange.arguments), object));
}

Complaint check(const storage::QueueDefinition& queue) {
  if (auto why = check_own_name(queue.name)) return why;
  if (!queue.durable) return "only what is durable can be stored";
  if (queue.exclusive) return "an exclusive queue ends with its connection";
  const amqp::FieldTable arguments = amqp::decode_or_empty(queue.arguments);
  const std::string object = object_name("queue", queue.name, queue.vhost);
  if (auto error = check_queue_arguments(arguments, object)) return text_of(error);
  return text_of(check_queue_properties(queue, arguments, object));
}

Complaint check(const storage::BindingDefinition& binding) {
  if (binding.source.empty() ||
      (binding.destination_kind == storage::BindingDestination::exchange &&
       binding.destination.empty())) {
    return "the default exchange takes no bindings";
  }
  if (binding.destination_kind == storage::BindingDestination::queue &&
      is_delay_queue_name(binding.destination)) {
    return "the queue of a delayed-message exchange takes no bindings";
  }
  return check_name("routing key", binding.routing_key);
}

Complaint check(const storage::PolicyDefinition& policy) {
  return check_policy(policy);
}

}  // namespace

std::optional<std::string> check_definition(const storage::Definition& definition) {
  return std::visit([](const auto& one) { return check(one); }, definition);
}

std::optional<std::string> check_stored_binding(const storage::BindingDefinition& binding,
                                                const storage::ExchangeDefinition* source) {
  if (source != nullptr) return text_of(check_binding(routing_type(*source), binding));
  for (const storage::ExchangeDefinition& one : predeclared_exchanges(binding.vhost)) {
    if (one.name == binding.source) return text_of(check_binding(one.type, binding));
  }
  return "no " + object_name("exchange", binding.source, binding.vhost);
}

}  // namespace warren::broker
