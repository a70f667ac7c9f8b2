// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/amqp_error.h"

#include "server/amqp/wire_types.h"

namespace warren::amqp {
namespace {

AmqpError make_error(ReplyCode code, std::string_view explanation, bool closes_connection) {
  AmqpError error{.code = code, .text = {}, .closes_connection = closes_connection};
  error.text = reply_code_name(code);
  if (!explanation.empty()) {
    error.text += " - ";
    error.text += utf8_prefix(explanation, kShortStringBytesMax - error.text.size());
  }
  return error;
}

}  // namespace

AmqpError channel_error(ReplyCode code, std::string_view explanation) {
  return make_error(code, explanation, false);
}

AmqpError connection_error(ReplyCode code, std::string_view explanation) {
  return make_error(code, explanation, true);
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  constexpr std::size_t kContinuationBytesMax = 3;
  std::size_t size = bytes_max;
  for (std::size_t i = 0; i < kContinuationBytesMax && size > 0; ++i) {
    const bool inside_sequence = (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80;
    if (!inside_sequence) return text.substr(0, size);
    --size;
  }
  const bool at_boundary = (static_cast<unsigned char>(text[size]) & 0xC0) != 0x80;
  // Not UTF-8 after all: any cut is as good as another.
  return text.substr(0, at_boundary ? size : bytes_max);
}

}  // namespace warren::amqp
