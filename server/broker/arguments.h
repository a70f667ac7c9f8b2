// SPDX-License-Identifier: Apache-2.0
// The x-arguments of queues that the broker knows: which must agree when a queue is declared again,
// and which values it refuses. Those of exchanges: exchange_arguments.h.
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

}  // namespace warren::broker
