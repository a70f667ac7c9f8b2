// SPDX-License-Identifier: Apache-2.0
// The x-arguments that the broker knows: which must agree when a queue is declared again, and which
// values it refuses.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "server/amqp/amqp_error.h"
#include "server/amqp/field_value.h"

namespace warren::broker {

// In the order in which they are compared. "x-queue-type" is not among them: it has a default.
std::span<const std::string_view> compared_queue_arguments();

// 406 for a known argument of the wrong type or range. `object`: "queue 'q' in vhost '/'".
std::optional<amqp::AmqpError> check_queue_arguments(const amqp::FieldTable& arguments,
                                                     std::string_view object);

// "alternate-exchange" must be a string.
std::optional<amqp::AmqpError> check_exchange_arguments(const amqp::FieldTable& arguments,
                                                        std::string_view object);

// "x-match" of a binding to a headers exchange.
std::optional<amqp::AmqpError> check_headers_binding(const amqp::FieldTable& arguments);

}  // namespace warren::broker
