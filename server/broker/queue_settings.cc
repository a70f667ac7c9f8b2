// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue_settings.h"

#include <algorithm>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/delayed.h"
#include "server/broker/policy/policy.h"

namespace warren::broker {
namespace {

// RabbitMQ's default for quorum queues since 4.0.
constexpr std::int64_t kQuorumDeliveryLimit = 20;

std::optional<std::int64_t> integer_of(const amqp::FieldTable& table, std::string_view name) {
  const amqp::FieldValue* const value = table.find(name);
  return value == nullptr ? std::nullopt : amqp::as_integer(*value);
}

std::optional<std::string> text_of(const amqp::FieldTable& table, std::string_view name) {
  const amqp::FieldValue* const value = table.find(name);
  if (value == nullptr) return std::nullopt;
  const auto text = amqp::as_string(*value);
  if (!text) return std::nullopt;
  return std::string(*text);
}

// Argument and policy go by the same name, but for the "x-".
struct Sources {
  amqp::FieldTable arguments;
  const amqp::FieldTable& policy;

  std::optional<std::int64_t> smaller(const std::string& key) const {
    const auto a = integer_of(arguments, "x-" + key);
    const auto b = integer_of(policy, key);
    if (a && b) return smaller_limit(*a, *b);
    return a ? a : b;
  }
  std::optional<std::uint64_t> smaller_unsigned(const std::string& key) const {
    const auto value = smaller(key);
    if (!value) return std::nullopt;
    return static_cast<std::uint64_t>(std::max<std::int64_t>(*value, 0));
  }
  std::optional<std::string> text(const std::string& key) const {
    auto value = text_of(arguments, "x-" + key);
    return value ? value : text_of(policy, key);
  }
};

QueueType type_of(const amqp::FieldTable& arguments) {
  const auto text = text_of(arguments, "x-queue-type");
  if (text == "quorum") return QueueType::quorum;
  if (text == "stream") return QueueType::stream;
  return QueueType::classic;
}

Overflow overflow_of(const std::optional<std::string>& text) {
  if (text == "reject-publish") return Overflow::reject_publish;
  if (text == "reject-publish-dlx") return Overflow::reject_publish_dlx;
  return Overflow::drop_head;
}

// An argument of quorum queues: a policy that says it does not mean classic ones.
void read_delivery_limit(const Sources& sources, QueueSettings& settings) {
  const auto limit =
      settings.type == QueueType::quorum ? sources.smaller("delivery-limit") : std::nullopt;
  settings.counts_returns = settings.type == QueueType::quorum || limit.has_value();
  if (limit) {
    if (*limit >= 0) settings.delivery_limit = limit;
  } else if (settings.type == QueueType::quorum) {
    settings.delivery_limit = kQuorumDeliveryLimit;
  }
}

// As quorum queues of RabbitMQ 4.3, for every type of queue. A shortest wait without a type means
// all returns, as in LavinMQ.
std::optional<DelayedRetry> delayed_retry_of(const Sources& sources) {
  const auto type = sources.text("delayed-retry-type");
  const auto min_ms = sources.smaller("delayed-retry-min");
  if (!min_ms || *min_ms <= 0 || type == "disabled") return std::nullopt;
  DelayedRetry retry;
  retry.failed = type != "returned";
  retry.returned = type != "failed";
  retry.min_ms = *min_ms;
  const auto max_ms = sources.smaller("delayed-retry-max");
  if (max_ms) retry.max_ms = *max_ms;
  return retry;
}

}  // namespace

QueueSettings queue_settings(const storage::QueueDefinition& definition,
                             const amqp::FieldTable& policy) {
  QueueSettings settings;
  if (definition.arguments.empty() && policy.empty()) return settings;
  const Sources sources{amqp::decode_or_empty(definition.arguments), policy};
  settings.type = type_of(sources.arguments);
  settings.message_ttl_ms = sources.smaller("message-ttl");
  settings.expires_ms = sources.smaller("expires");
  settings.max_length = sources.smaller_unsigned("max-length");
  settings.max_length_bytes = sources.smaller_unsigned("max-length-bytes");
  settings.overflow = overflow_of(sources.text("overflow"));
  settings.dead_letter_exchange = sources.text("dead-letter-exchange");
  settings.dead_letter_routing_key = sources.text("dead-letter-routing-key");
  settings.max_priority =
      static_cast<std::uint8_t>(integer_of(sources.arguments, "x-max-priority").value_or(0));
  if (const auto* sac = sources.arguments.find("x-single-active-consumer")) {
    settings.single_active_consumer = amqp::as_bool(*sac).value_or(false);
  }
  read_delivery_limit(sources, settings);
  settings.delayed_retry = delayed_retry_of(sources);
  if (settings.delayed_retry) settings.counts_returns = true;
  settings.consumer_timeout_ms = sources.smaller("consumer-timeout");
  if (settings.consumer_timeout_ms == 0) settings.consumer_timeout_ms.reset();  // off
  settings.dedup = read_dedup_settings(definition.arguments);
  if (is_delay_queue_name(definition.name)) {
    settings.delayed_exchange =
        text_of(sources.arguments, kDelayedExchangeArgument).value_or(std::string());
  }
  return settings;
}

std::uint32_t log_count(const storage::ArgumentBytes& arguments) {
  const auto max = integer_of(amqp::decode_or_empty(arguments), "x-max-priority");
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(max.value_or(0), 0, 255)) + 1;
}

}  // namespace warren::broker
