// SPDX-License-Identifier: Apache-2.0
// What a handler answers when the peer is at fault: the channel or the connection closes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/amqp/gen/constants.gen.h"

namespace warren::amqp {

struct AmqpError {
  ReplyCode code = ReplyCode::internal_error;
  // "NOT_FOUND - no queue 'q' in vhost '/'": what goes into reply-text, so at most 255 bytes.
  std::string text = {};
  bool closes_connection = false;
  // The method that failed; the dispatcher fills them in.
  std::uint16_t class_id = 0;
  std::uint16_t method_id = 0;
};

AmqpError channel_error(ReplyCode code, std::string_view explanation);
AmqpError connection_error(ReplyCode code, std::string_view explanation);

// The longest prefix of at most `bytes_max` bytes that does not end inside a UTF-8 sequence.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);

}  // namespace warren::amqp
