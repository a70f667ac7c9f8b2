// SPDX-License-Identifier: Apache-2.0
// The x-arguments of queues that the broker knows: which must agree when a queue is declared again,
// and which values it refuses. Those of exchanges: exchange_arguments.h.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/engine/definitions.h"

#include "server/amqp/amqp_error.h"
#include "server/amqp/field_value.h"

namespace warren::broker {

// In the order in which they are compared. "x-queue-type" is not among them: it has a default.
std::span<const std::string_view> compared_queue_arguments();

// "classic" when there is none.
std::string_view queue_type(const amqp::FieldTable& arguments);

// 406 for an argument of the wrong type or range, or of another type of queue. `object`: "queue 'q'
// in vhost '/'".
std::optional<amqp::AmqpError> check_queue_arguments(const amqp::FieldTable& arguments,
                                                     std::string_view object);

// What is wrong with the value of an argument that the broker knows; empty: nothing, or it is not
// known.
std::string argument_complaint(std::string_view name, const amqp::FieldValue& value);

// 406 for what the type of the queue does not allow: a quorum queue is durable, not exclusive and
// not auto-delete, and has a name. REQUIRES: arguments that check_queue_arguments() let pass.
std::optional<amqp::AmqpError> check_queue_properties(const storage::QueueDefinition& queue,
                                                      const amqp::FieldTable& arguments,
                                                      std::string_view object);
std::optional<amqp::AmqpError> check_server_named(const amqp::FieldTable& arguments);

// Of basic.consume: an integer, absent: 0.
inline constexpr std::string_view kConsumerPriority = "x-priority";
std::optional<amqp::AmqpError> check_consumer_arguments(const amqp::FieldTable& arguments,
                                                        const amqp::FieldTable& queue_arguments,
                                                        std::string_view object);
// 405 for basic.get from a quorum queue with a single active consumer.
std::optional<amqp::AmqpError> check_get(const amqp::FieldTable& queue_arguments,
                                         std::string_view object);

}  // namespace warren::broker
