// SPDX-License-Identifier: Apache-2.0
#include "server/broker/arguments.h"

#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "server/amqp/wire_types.h"
#include "server/broker/exchange_arguments.h"
#include "server/broker/queue_settings.h"

namespace warren::broker {
namespace {

enum class Kind { integer, text, boolean, queue_type, overflow, strategy, retry_type };

// Types of queues that take an argument.
constexpr unsigned kClassic = 1;
constexpr unsigned kQuorum = 2;
constexpr unsigned kStream = 4;

struct Row {
  std::string_view name;
  Kind kind;
  unsigned types;
  std::int64_t min = 0;
  std::int64_t max = INT64_MAX;
};

// What RabbitMQ knows; the ones that mean nothing here are taken and kept.
constexpr Row kRows[] = {
    {"x-queue-type", Kind::queue_type, kClassic | kQuorum},
    {"x-message-ttl", Kind::integer, kClassic | kQuorum, 0, kMillisecondsMax},
    {"x-expires", Kind::integer, kClassic | kQuorum, 1, kMillisecondsMax},
    {"x-max-length", Kind::integer, kClassic | kQuorum},
    {"x-max-length-bytes", Kind::integer, kClassic | kQuorum | kStream},
    {"x-overflow", Kind::overflow, kClassic | kQuorum},
    {"x-dead-letter-exchange", Kind::text, kClassic | kQuorum},
    {"x-dead-letter-routing-key", Kind::text, kClassic | kQuorum},
    {"x-dead-letter-strategy", Kind::strategy, kQuorum},
    {"x-max-priority", Kind::integer, kClassic, 0, 255},
    {"x-single-active-consumer", Kind::boolean, kClassic | kQuorum},
    {"x-delivery-limit", Kind::integer, kQuorum, -1},
    {"x-consumer-timeout", Kind::integer, kClassic | kQuorum, 0, kMillisecondsMax},
    {"x-delayed-retry-type", Kind::retry_type, kClassic | kQuorum},
    {"x-delayed-retry-min", Kind::integer, kClassic | kQuorum, 0, kMillisecondsMax},
    {"x-delayed-retry-max", Kind::integer, kClassic | kQuorum, 0, kMillisecondsMax},
    {"x-queue-mode", Kind::text, kClassic},
    {"x-queue-version", Kind::integer, kClassic},
    {"x-queue-master-locator", Kind::text, kClassic},
    {"x-queue-leader-locator", Kind::text, kClassic | kQuorum | kStream},
    {"x-quorum-initial-group-size", Kind::integer, kQuorum, 1},
    {"x-max-in-memory-length", Kind::integer, kQuorum},
    {"x-max-in-memory-bytes", Kind::integer, kQuorum},
    {"x-max-age", Kind::text, kStream},
    {"x-stream-max-segment-size-bytes", Kind::integer, kStream},
    {"x-stream-filter-size-bytes", Kind::integer, kStream, 16, 255},
    {"x-initial-cluster-size", Kind::integer, kStream, 1},
};

constexpr std::array<std::string_view, 14> kCompared = {
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
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
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
      if (const auto text = amqp::as_string(value)) {
        // They name what only short strings can name.
        if (text->size() <= amqp::kShortStringBytesMax) return {};
        return fmt::format("longer than {} bytes", amqp::kShortStringBytesMax);
      }
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
    case Kind::strategy: {
      const auto text = amqp::as_string(value);
      if (text && (*text == "at-most-once" || *text == "at-least-once")) return {};
      return fmt::format("invalid dead letter strategy '{}'", amqp::to_text(value));
    }
    case Kind::retry_type: {
      const auto text = amqp::as_string(value);
      for (const std::string_view known : {"disabled", "all", "failed", "returned"}) {
        if (text == known) return {};
      }
      return fmt::format("invalid delayed retry type '{}'", amqp::to_text(value));
    }
  }
  return {};
}

amqp::AmqpError refused(std::string_view why) {
  return amqp::channel_error(amqp::ReplyCode::precondition_failed, why);
}

amqp::AmqpError invalid(std::string_view name, std::string_view object, std::string_view why) {
  return refused(fmt::format("invalid arg '{}' for {}: {}", name, object, why));
}

amqp::AmqpError other_type(std::string_view name, std::string_view object,
                           const amqp::FieldTable& queue_arguments) {
  return refused(fmt::format("invalid arg '{}' for {} of queue type rabbit_{}_queue", name, object,
                             queue_type(queue_arguments)));
}

}  // namespace

std::span<const std::string_view> compared_queue_arguments() {
  return kCompared;
}

std::string_view queue_type(const amqp::FieldTable& arguments) {
  const amqp::FieldValue* const value = arguments.find("x-queue-type");
  return value == nullptr ? "classic" : amqp::as_string(*value).value_or("classic");
}

// As RabbitMQ goes about it: the type of the queue, the values of what this type knows, and then
// what only other types know.
std::optional<amqp::AmqpError> check_queue_arguments(const amqp::FieldTable& arguments,
                                                     std::string_view object) {
  if (const amqp::FieldValue* const dlx = arguments.find("x-dead-letter-exchange");
      dlx != nullptr && !amqp::as_string(*dlx)) {
    return refused(fmt::format("invalid type '{}' for arg 'x-dead-letter-exchange' in {}",
                               amqp::type_name(dlx->type()), object));
  }
  const unsigned type = queue_type(arguments) == "quorum" ? kQuorum : kClassic;
  for (const Row& row : kRows) {
    const amqp::FieldValue* const value = arguments.find(row.name);
    if (value == nullptr || (row.types & type) == 0) continue;
    const std::string why = complaint(row, *value);
    if (!why.empty()) return invalid(row.name, object, why);
  }
  if (arguments.contains("x-dead-letter-routing-key") &&
      !arguments.contains("x-dead-letter-exchange")) {
    return invalid("x-dead-letter-routing-key", object, "routing_key_but_no_dlx_defined");
  }
  if (auto error = check_dedup_arguments(arguments, object)) return error;
  for (const Row& row : kRows) {
    if ((row.types & type) != 0 || !arguments.contains(row.name)) continue;
    return other_type(row.name, object, arguments);
  }
  return std::nullopt;
}

std::string argument_complaint(std::string_view name, const amqp::FieldValue& value) {
  for (const Row& row : kRows) {
    if (row.name == name) return complaint(row, value);
  }
  return {};
}

std::optional<amqp::AmqpError> check_queue_properties(const storage::QueueDefinition& queue,
                                                      const amqp::FieldTable& arguments,
                                                      std::string_view object) {
  if (queue_type(arguments) != "quorum") return std::nullopt;
  const auto invalid_property = [object](std::string_view name) {
    return refused(fmt::format("invalid property '{}' for {}", name, object));
  };
  if (queue.auto_delete) return invalid_property("auto-delete");
  if (queue.exclusive) return invalid_property("exclusive-owner");
  if (!queue.durable) return invalid_property("non-durable");
  return std::nullopt;
}

std::optional<amqp::AmqpError> check_server_named(const amqp::FieldTable& arguments) {
  if (queue_type(arguments) != "quorum") return std::nullopt;
  return refused("Cannot declare a server-named queue for type rabbit_quorum_queue");
}

std::optional<amqp::AmqpError> check_consumer_arguments(const amqp::FieldTable& arguments,
                                                        const amqp::FieldTable& queue_arguments,
                                                        std::string_view object) {
  for (const std::string_view name :
       {"x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"}) {
    if (arguments.contains(name)) return other_type(name, object, queue_arguments);
  }
  const amqp::FieldValue* const priority = arguments.find(kConsumerPriority);
  if (priority == nullptr || amqp::as_integer(*priority)) return std::nullopt;
  return invalid(kConsumerPriority, object,
                 fmt::format("unacceptable type {}", amqp::type_name(priority->type())));
}

std::optional<amqp::AmqpError> check_get(const amqp::FieldTable& queue_arguments,
                                         std::string_view object) {
  const amqp::FieldValue* const single = queue_arguments.find("x-single-active-consumer");
  const bool is_single = single != nullptr && amqp::as_bool(*single).value_or(false);
  if (!is_single || queue_type(queue_arguments) != "quorum") return std::nullopt;
  return amqp::channel_error(
      amqp::ReplyCode::resource_locked,
      fmt::format("cannot obtain access to locked {}. basic.get operations are not supported by "
                  "quorum queues with single active consumer",
                  object));
}

}  // namespace warren::broker
