// SPDX-License-Identifier: Apache-2.0
// CC and BCC, as RabbitMQ has them: headers that hold more routing keys for one publish, on any
// exchange that looks at keys. CC travels with the message, BCC is taken out of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"

#include "server/amqp/amqp_error.h"

namespace warren::broker {

struct ExtraKeys {
  std::vector<std::string> keys;
  // The headers without BCC; not set when there was none.
  std::optional<std::string> headers;
};

// False: the headers name neither. Does not decode: true may be a false alarm.
bool may_hold_extra_keys(Bytes headers);

// `headers`: the content of a valid field table. 406 when one of them is not an array of strings.
std::optional<amqp::AmqpError> read_extra_keys(Bytes headers, ExtraKeys& out);

}  // namespace warren::broker
