// SPDX-License-Identifier: Apache-2.0
// What exchanges and their bindings refuse when they are declared: 406, with a text that names the
// argument.
#pragma once

#include <optional>
#include <string_view>

#include "storage/engine/definitions.h"

#include "server/amqp/amqp_error.h"
#include "server/amqp/field_value.h"

namespace warren::broker {

// `object`: "exchange 'x' in vhost '/'".
std::optional<amqp::AmqpError> check_exchange_arguments(std::string_view type,
                                                        const amqp::FieldTable& arguments,
                                                        std::string_view object);

// Those of deduplication, which queues have too.
std::optional<amqp::AmqpError> check_dedup_arguments(const amqp::FieldTable& arguments,
                                                     std::string_view object);

// A binding whose source is an exchange of this type.
std::optional<amqp::AmqpError> check_binding(std::string_view type,
                                             const storage::BindingDefinition& definition);

}  // namespace warren::broker
