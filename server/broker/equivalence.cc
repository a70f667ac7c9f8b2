// SPDX-License-Identifier: Apache-2.0
#include "server/broker/equivalence.h"

#include <string>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/arguments.h"

namespace warren::broker {
namespace {

// "queue 'q' in vhost '/'"
template <class Definition>
std::string describe(std::string_view kind, const Definition& definition) {
  return fmt::format("{} '{}' in vhost '{}'", kind, definition.name, definition.vhost);
}

amqp::AmqpError differs(std::string_view what, const std::string& object, std::string_view received,
                        std::string_view current) {
  return amqp::channel_error(
      amqp::ReplyCode::precondition_failed,
      fmt::format("inequivalent arg '{}' for {}: received '{}' but current is '{}'", what, object,
                  received, current));
}

std::string_view truth(bool value) {
  return value ? "true" : "false";
}

// The type is said only where there is nothing to compare with, as RabbitMQ does.
std::string describe_value(const amqp::FieldValue* value, const amqp::FieldValue* other) {
  if (value == nullptr) return "none";
  if (other != nullptr) return fmt::format("'{}'", amqp::to_text(*value));
  return fmt::format("the value '{}' of type '{}'", amqp::to_text(*value),
                     amqp::type_name(value->type()));
}

bool same_argument(const amqp::FieldValue* received, const amqp::FieldValue* current) {
  if (received == nullptr || current == nullptr) return received == current;
  const auto a = amqp::as_integer(*received);
  const auto b = amqp::as_integer(*current);
  if (a && b) return *a == *b;
  return *received == *current;
}

std::optional<amqp::AmqpError> argument_differs(std::string_view name, const std::string& object,
                                                const amqp::FieldTable& received,
                                                const amqp::FieldTable& current) {
  const amqp::FieldValue* const r = received.find(name);
  const amqp::FieldValue* const c = current.find(name);
  if (same_argument(r, c)) return std::nullopt;
  return amqp::channel_error(
      amqp::ReplyCode::precondition_failed,
      fmt::format("inequivalent arg '{}' for {}: received {} but current is {}", name, object,
                  describe_value(r, c), describe_value(c, r)));
}

}  // namespace

std::optional<amqp::AmqpError> inequivalent(const storage::ExchangeDefinition& received,
                                            const storage::ExchangeDefinition& current) {
  const std::string object = describe("exchange", current);
  if (received.type != current.type) return differs("type", object, received.type, current.type);
  if (received.durable != current.durable) {
    return differs("durable", object, truth(received.durable), truth(current.durable));
  }
  if (received.auto_delete != current.auto_delete) {
    return differs("auto_delete", object, truth(received.auto_delete), truth(current.auto_delete));
  }
  if (received.internal != current.internal) {
    return differs("internal", object, truth(received.internal), truth(current.internal));
  }
  if (received.arguments == current.arguments) return std::nullopt;
  const amqp::FieldTable r = amqp::decode_or_empty(received.arguments);
  const amqp::FieldTable c = amqp::decode_or_empty(current.arguments);
  for (const std::string_view name : {"alternate-exchange", "x-alternate-exchange"}) {
    if (auto error = argument_differs(name, object, r, c)) return error;
  }
  return std::nullopt;
}

std::optional<amqp::AmqpError> inequivalent(const storage::QueueDefinition& received,
                                            const storage::QueueDefinition& current) {
  const std::string object = describe("queue", current);
  if (received.durable != current.durable) {
    return differs("durable", object, truth(received.durable), truth(current.durable));
  }
  if (received.auto_delete != current.auto_delete) {
    return differs("auto_delete", object, truth(received.auto_delete), truth(current.auto_delete));
  }
  if (received.arguments == current.arguments) return std::nullopt;
  const amqp::FieldTable r = amqp::decode_or_empty(received.arguments);
  const amqp::FieldTable c = amqp::decode_or_empty(current.arguments);
  for (const std::string_view name : compared_queue_arguments()) {
    if (auto error = argument_differs(name, object, r, c)) return error;
  }
  // A queue without a type is a classic one.
  if (queue_type(r) != queue_type(c)) {
    return argument_differs("x-queue-type", object, r, c);
  }
  return std::nullopt;
}

}  // namespace warren::broker
