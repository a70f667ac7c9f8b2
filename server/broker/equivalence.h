// SPDX-License-Identifier: Apache-2.0
// Is a declaration the same as what exists? The rules and texts of RabbitMQ's 406 answers.
#pragma once

#include <optional>

#include "storage/engine/definitions.h"

#include "server/amqp/amqp_error.h"

namespace warren::broker {

// Type, durable, auto_delete, internal and the argument "alternate-exchange".
std::optional<amqp::AmqpError> inequivalent(const storage::ExchangeDefinition& received,
                                            const storage::ExchangeDefinition& current);

// Durable, auto_delete and the arguments that the broker knows; others are ignored, integer widths
// are equal.
std::optional<amqp::AmqpError> inequivalent(const storage::QueueDefinition& received,
                                            const storage::QueueDefinition& current);

}  // namespace warren::broker
