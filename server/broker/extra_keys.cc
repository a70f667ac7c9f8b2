// SPDX-License-Identifier: Apache-2.0
#include "server/broker/extra_keys.h"

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"

namespace warren::broker {
namespace {

amqp::AmqpError unacceptable(std::string_view header, std::string_view what) {
  return amqp::channel_error(
      amqp::ReplyCode::precondition_failed,
      fmt::format("invalid message: header '{}' must be an array of longstr, but {}", header,
                  what));
}

std::optional<amqp::AmqpError> append_keys(std::string_view header, const amqp::FieldTable& table,
                                           std::vector<std::string>& keys) {
  const amqp::FieldValue* const value = table.find(header);
  if (value == nullptr) return std::nullopt;
  const auto* const array = value->get<amqp::FieldArray>();
  if (array == nullptr) {
    return unacceptable(header, fmt::format("is of type {}", amqp::type_name(value->type())));
  }
  for (const amqp::FieldValue& one : *array) {
    const auto key = amqp::as_string(one);
    if (!key) {
      return unacceptable(header, fmt::format("holds a {}", amqp::type_name(one.type())));
    }
    keys.emplace_back(*key);
  }
  return std::nullopt;
}

}  // namespace

bool may_hold_extra_keys(Bytes headers) {
  // Names stand behind their length.
  return headers.find("\2CC") != Bytes::npos || headers.find("\3BCC") != Bytes::npos;
}

std::optional<amqp::AmqpError> read_extra_keys(Bytes headers, ExtraKeys& out) {
  auto decoded = amqp::decode_table(headers);
  WARREN_ASSERT(decoded.ok());
  amqp::FieldTable table = decoded.take();
  if (auto error = append_keys("CC", table, out.keys)) return error;
  if (auto error = append_keys("BCC", table, out.keys)) return error;
  if (table.contains("BCC")) {
    table.erase("BCC");
    amqp::encode_table(out.headers.emplace(), table);
  }
  return std::nullopt;
}

}  // namespace warren::broker
