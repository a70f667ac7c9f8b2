// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/delayed.h"

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/exchange_types.h"
#include "server/broker/queue_settings.h"

namespace warren::broker {
namespace {

// Clients cannot declare queues under amq.
constexpr std::string_view kNamePrefix = "amq.delayed.";

amqp::AmqpError refused(std::string text) {
  return amqp::channel_error(amqp::ReplyCode::precondition_failed, text);
}

}  // namespace

bool delays(const storage::ExchangeDefinition& exchange) {
  if (exchange.type == kDelayedType) return true;
  if (exchange.arguments.find(kDelayedExchangeArgument) == std::string::npos) return false;
  const amqp::FieldTable arguments = amqp::decode_or_empty(exchange.arguments);
  const amqp::FieldValue* const value = arguments.find(kDelayedExchangeArgument);
  return value != nullptr && amqp::as_bool(*value).value_or(false);
}

std::string routing_type(const storage::ExchangeDefinition& exchange) {
  if (exchange.type != kDelayedType) return exchange.type;
  const amqp::FieldTable arguments = amqp::decode_or_empty(exchange.arguments);
  const amqp::FieldValue* const value = arguments.find(kDelayedTypeArgument);
  return std::string(value == nullptr ? "" : amqp::as_string(*value).value_or(""));
}

std::optional<amqp::AmqpError> check_delayed_arguments(std::string_view type,
                                                       const amqp::FieldTable& arguments) {
  if (const amqp::FieldValue* const value = arguments.find(kDelayedExchangeArgument)) {
    if (!amqp::as_bool(*value)) {
      return refused(fmt::format("invalid arg '{}': unacceptable type {}", kDelayedExchangeArgument,
                                 amqp::type_name(value->type())));
    }
  }
  if (type != kDelayedType) return std::nullopt;
  const amqp::FieldValue* const value = arguments.find(kDelayedTypeArgument);
  const auto inner = value == nullptr ? std::nullopt : amqp::as_string(*value);
  if (!inner || *inner == kDelayedType || !is_exchange_type(*inner)) {
    return refused(fmt::format("Invalid argument, '{}' must be an existing exchange type",
                               kDelayedTypeArgument));
  }
  return std::nullopt;
}

storage::QueueDefinition delay_queue(const storage::ExchangeDefinition& exchange) {
  storage::QueueDefinition queue;
  queue.vhost = exchange.vhost;
  queue.name = delay_queue_name(exchange.name);
  queue.durable = exchange.durable;
  amqp::FieldTable arguments;
  arguments.set(kDelayedExchangeArgument, exchange.name);
  amqp::encode_table(queue.arguments, arguments);
  return queue;
}

std::string delay_queue_name(const std::string& exchange) {
  return std::string(kNamePrefix) + exchange;
}

bool is_delay_queue_name(std::string_view name) {
  return name.starts_with(kNamePrefix);
}

}  // namespace warren::broker
