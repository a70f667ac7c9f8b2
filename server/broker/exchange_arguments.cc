// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange_arguments.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/wire_types.h"
#include "server/broker/dedup.h"
#include "server/broker/exchange/delayed.h"
#include "server/broker/exchange/hash.h"

namespace warren::broker {
namespace {

constexpr std::string_view kHashType = "x-consistent-hash";

amqp::AmqpError refused(std::string_view text) {
  return amqp::channel_error(amqp::ReplyCode::precondition_failed, text);
}

amqp::AmqpError invalid(std::string_view name, std::string_view object, std::string_view why) {
  return refused(fmt::format("invalid arg '{}' for {}: {}", name, object, why));
}

std::optional<amqp::AmqpError> check_text(std::string_view name, const amqp::FieldTable& arguments,
                                          std::string_view object) {
  const amqp::FieldValue* const value = arguments.find(name);
  if (value == nullptr) return std::nullopt;
  const auto text = amqp::as_string(*value);
  if (!text) {
    return invalid(name, object,
                   fmt::format("unacceptable type {}", amqp::type_name(value->type())));
  }
  if (text->size() <= amqp::kShortStringBytesMax) return std::nullopt;
  return invalid(name, object, fmt::format("longer than {} bytes", amqp::kShortStringBytesMax));
}

std::optional<amqp::AmqpError> check_integer(std::string_view name, std::int64_t min,
                                             std::int64_t max, const amqp::FieldTable& arguments,
                                             std::string_view object) {
  const amqp::FieldValue* const value = arguments.find(name);
  if (value == nullptr) return std::nullopt;
  const auto number = amqp::as_integer(*value);
  if (!number) {
    return invalid(name, object,
                   fmt::format("unacceptable type {}", amqp::type_name(value->type())));
  }
  if (*number >= min && *number <= max) return std::nullopt;
  return invalid(name, object, fmt::format("value {} is not in {} to {}", *number, min, max));
}

// REQUIRES: check_text() found nothing.
std::optional<amqp::AmqpError> check_one_of(std::string_view name,
                                            std::initializer_list<std::string_view> known,
                                            const amqp::FieldTable& arguments,
                                            std::string_view object) {
  const amqp::FieldValue* const value = arguments.find(name);
  if (value == nullptr) return std::nullopt;
  const std::string_view text = amqp::as_string(*value).value_or("");
  if (std::find(known.begin(), known.end(), text) != known.end()) return std::nullopt;
  return invalid(name, object, fmt::format("unsupported value '{}'", text));
}

std::optional<amqp::AmqpError> check_hash_arguments(const amqp::FieldTable& arguments,
                                                    std::string_view object) {
  for (const std::string_view name : {"hash-header", "hash-property", "x-hash-on", "x-algorithm"}) {
    if (auto error = check_text(name, arguments, object)) return error;
  }
  const bool by_header = arguments.contains("hash-header") || arguments.contains("x-hash-on");
  if (by_header && arguments.contains("hash-property")) {
    return refused("hash-header and hash-property are mutually exclusive");
  }
  if (const amqp::FieldValue* const value = arguments.find("hash-property")) {
    const std::string_view property = amqp::as_string(*value).value_or("");
    if (!is_hash_property(property)) {
      return refused(fmt::format("Unsupported property: {}", property));
    }
  }
  return check_one_of("x-algorithm", {"ring", "jump"}, arguments, object);
}

std::optional<amqp::AmqpError> check_weight(std::string_view key) {
  if (read_weight(key)) return std::nullopt;
  const bool digits = !key.empty() && std::all_of(key.begin(), key.end(),
                                                  [](char c) { return c >= '0' && c <= '9'; });
  if (digits && key.find_first_not_of('0') == std::string_view::npos) {
    return refused("The binding key must be greater than 0");
  }
  if (digits) return refused(fmt::format("The binding key must be at most {}", kHashWeightMax));
  return refused(fmt::format("The binding key must be an integer: '{}'", key));
}

std::optional<amqp::AmqpError> check_match(const storage::ArgumentBytes& bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto arguments = amqp::decode_table(bytes);
  const amqp::FieldValue* const value = arguments.ok() ? arguments->find("x-match") : nullptr;
  if (value == nullptr) return std::nullopt;
  const auto text = amqp::as_string(*value);
  if (!text) {
    return refused(fmt::format("Invalid x-match field type {} (value {}); expected longstr",
                               amqp::type_name(value->type()), amqp::to_text(*value)));
  }
  for (const std::string_view known : {"all", "any", "all-with-x", "any-with-x"}) {
    if (*text == known) return std::nullopt;
  }
  return refused(fmt::format(
      "Invalid x-match field value \"{}\"; expected all, any, all-with-x or any-with-x", *text));
}

}  // namespace

std::optional<amqp::AmqpError> check_dedup_arguments(const amqp::FieldTable& arguments,
                                                     std::string_view object) {
  const amqp::FieldValue* const value = arguments.find(kDedupArgument);
  if (value == nullptr) return std::nullopt;
  if (!amqp::as_bool(*value)) {
    return invalid(kDedupArgument, object,
                   fmt::format("unacceptable type {}", amqp::type_name(value->type())));
  }
  if (auto error = check_integer(kDedupSize, 1, kDedupSizeMax, arguments, object)) return error;
  if (auto error = check_integer(kDedupTtl, 0, INT64_MAX, arguments, object)) return error;
  return check_text(kDedupHeader, arguments, object);
}

std::optional<amqp::AmqpError> check_exchange_arguments(std::string_view type,
                                                        const amqp::FieldTable& arguments,
                                                        std::string_view object) {
  for (const std::string_view name : {"alternate-exchange", "x-alternate-exchange"}) {
    if (auto error = check_text(name, arguments, object)) return error;
  }
  if (auto error = check_dedup_arguments(arguments, object)) return error;
  if (auto error = check_delayed_arguments(type, arguments)) return error;
  if (type == kHashType) return check_hash_arguments(arguments, object);
  return std::nullopt;
}

std::optional<amqp::AmqpError> check_binding(std::string_view type,
                                             const storage::BindingDefinition& definition) {
  if (type == "headers") return check_match(definition.arguments);
  if (type == kHashType) return check_weight(definition.routing_key);
  if (type == "x-local-random" && !definition.routing_key.empty()) {
    return refused(fmt::format("Non empty binding '{}' key not permitted", definition.routing_key));
  }
  return std::nullopt;
}

}  // namespace warren::broker
