// SPDX-License-Identifier: Apache-2.0
// Exchanges that keep a message until its time: type x-delayed-message, as the community plugin of
// RabbitMQ has it, which routes as the type in its argument x-delayed-type says; or any type with
// the argument x-delayed-exchange, as LavinMQ has it. What waits is in a hidden queue of the
// exchange, by due time.
#pragma once

#include <optional>
#include <string>

#include "storage/engine/definitions.h"

#include "server/amqp/amqp_error.h"
#include "server/amqp/field_value.h"

namespace warren::broker {

inline constexpr std::string_view kDelayedType = "x-delayed-message";
inline constexpr std::string_view kDelayedTypeArgument = "x-delayed-type";

bool delays(const storage::ExchangeDefinition& exchange);
// How the exchange routes: its type, or the one in x-delayed-type.
std::string routing_type(const storage::ExchangeDefinition& exchange);

// 406 for an x-delayed-type that is missing, not a string or no type; for an x-delayed-exchange
// that is no boolean.
std::optional<amqp::AmqpError> check_delayed_arguments(std::string_view type,
                                                       const amqp::FieldTable& arguments);

// The queue that keeps the messages of an exchange until they are due.
storage::QueueDefinition delay_queue(const storage::ExchangeDefinition& exchange);
std::string delay_queue_name(const std::string& exchange);
bool is_delay_queue_name(std::string_view name);

}  // namespace warren::broker
