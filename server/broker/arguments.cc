// SPDX-License-Identifier: Apache-2.0
#include "server/broker/arguments.h"

#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace warren::broker {
namespace {

constexpr std::int64_t kMillisecondsMax = 315'360'000'000;  // ten years, as RabbitMQ

enum class Kind { integer, text, boolean, queue_type, overflow };

struct Row {
  std::string_view name;
  Kind kind;
  std::int64_t min = 0;
  std::int64_t max = INT64_MAX;
};

constexpr Row kRows[] = {
    {"x-queue-type", Kind::queue_type},
    {"x-message-ttl", Kind::integer, 0, kMillisecondsMax},
    {"x-expires", Kind::integer, 1, kMillisecondsMax},
    {"x-max-length", Kind::integer, 0, INT64_MAX},
    {"x-max-length-bytes", Kind::integer, 0, INT64_MAX},
    {"x-overflow", Kind::overflow},
    {"x-dead-letter-exchange", Kind::text},
    {"x-dead-letter-routing-key", Kind::text},
    {"x-max-priority", Kind::integer, 0, 255},
    {"x-single-active-consumer", Kind::boolean},
    {"x-delivery-limit", Kind::integer, -1, INT64_MAX},
    {"x-consumer-timeout", Kind::integer, 0, kMillisecondsMax},
};

constexpr std::array<std::string_view, 11> kCompared = {
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-priority",
    "x-single-active-consumer",
    "x-delivery-limit",
    "x-consumer-timeout",
};

// What is wrong with the value; empty: nothing.
std::string complaint(const Row& row, const amqp::FieldValue& value) {
  switch (row.kind) {
    case Kind::integer: {
      const auto number = amqp::as_integer(value);
      if (!number) return fmt::format("unacceptable type {}", amqp::type_name(value.type()));
      if (*number < row.min) return fmt::format("value {} is below {}", *number, row.min);
      if (*number > row.max) return fmt::format("value {} is above {}", *number, row.max);
      return {};
    }
    case Kind::boolean:
      if (amqp::as_bool(value)) return {};
      return fmt::format("unacceptable type {}", amqp::type_name(value.type()));
    case Kind::text:
      if (amqp::as_string(value)) return {};
      return fmt::format("unacceptable type {}", amqp::type_name(value.type()));
    case Kind::queue_type: {
      const auto text = amqp::as_string(value);
      if (text && (*text == "classic" || *text == "quorum")) return {};
      return fmt::format("unsupported queue type '{}'", amqp::to_text(value));
    }
    case Kind::overflow: {
      const auto text = amqp::as_string(value);
      if (text &&
          (*text == "drop-head" || *text == "reject-publish" || *text == "reject-publish-dlx")) {
        return {};
      }
      return fmt::format("invalid overflow '{}'", amqp::to_text(value));
    }
  }
  return {};
}

amqp::AmqpError invalid(std::string_view name, std::string_view object, std::string_view why) {
  return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                             fmt::format("invalid arg '{}' for {}: {}", name, object, why));
}

}  // namespace

std::span<const std::string_view> compared_queue_arguments() {
  return kCompared;
}

std::optional<amqp::AmqpError> check_queue_arguments(const amqp::FieldTable& arguments,
                                                     std::string_view object) {
  for (const Row& row : kRows) {
    const amqp::FieldValue* const value = arguments.find(row.name);
    if (value == nullptr) continue;
    const std::string why = complaint(row, *value);
    if (!why.empty()) return invalid(row.name, object, why);
  }
  if (arguments.contains("x-dead-letter-routing-key") &&
      !arguments.contains("x-dead-letter-exchange")) {
    return invalid("x-dead-letter-routing-key", object, "routing_key_but_no_dlx_defined");
  }
  return std::nullopt;
}

}  // namespace warren::broker
