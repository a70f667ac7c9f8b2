// SPDX-License-Identifier: Apache-2.0
// What a queue's arguments and policies come to: plain values, read once per change and not per
// message. Numeric limits of argument and policy: the smaller one; names: the argument's
// (docs/compatibility.md, policies).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "storage/engine/definitions.h"

#include "server/amqp/field_value.h"
#include "server/broker/dedup.h"

namespace warren::broker {

enum class QueueType : std::uint8_t { classic, quorum, stream };
enum class Overflow : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

// No time that a queue is told is longer: ten years, as RabbitMQ.
inline constexpr std::int64_t kMillisecondsMax = 315'360'000'000;

// Which returns of a message are delayed, and for how long: the wait grows with their number.
struct DelayedRetry {
  bool failed = false;      // by basic.reject
  bool returned = false;    // otherwise
  std::int64_t min_ms = 1;  // at least 1
  std::int64_t max_ms = kMillisecondsMax;

  bool operator==(const DelayedRetry&) const = default;
};

struct QueueSettings {
  QueueType type = QueueType::classic;
  std::optional<std::int64_t> message_ttl_ms;
  std::optional<std::int64_t> expires_ms;
  std::optional<std::uint64_t> max_length;        // ready messages
  std::optional<std::uint64_t> max_length_bytes;  // of their bodies
  Overflow overflow = Overflow::drop_head;
  std::optional<std::string> dead_letter_exchange;  // "" is the default exchange
  std::optional<std::string> dead_letter_routing_key;
  std::uint8_t max_priority = 0;
  bool single_active_consumer = false;
  // How often a message may come back; none: without end.
  std::optional<std::int64_t> delivery_limit;
  // Deliveries are counted, and the count is told in x-delivery-count.
  bool counts_returns = false;
  std::optional<std::int64_t> consumer_timeout_ms;
  std::optional<DelayedRetry> delayed_retry;
  // Of the hidden queue of a delayed-message exchange: that exchange.
  std::string delayed_exchange;
  std::optional<DedupSettings> dedup;  // it drops what it has seen

  bool operator==(const QueueSettings&) const = default;

  // A publish may be refused: publishers in confirm mode wait for this queue's answer.
  bool may_refuse() const {
    return overflow != Overflow::drop_head && (max_length || max_length_bytes);
  }
};

// Never changed once they are made: every shard's copy of the topology, and the queue, hold the
// same.
using QueueDefinitionPtr = std::shared_ptr<const storage::QueueDefinition>;
using QueueSettingsPtr = std::shared_ptr<const QueueSettings>;

// `policy`: the effective definition of the policies that match, by policy key; empty: none.
// REQUIRES: arguments that check_queue_arguments() let pass.
QueueSettings queue_settings(const storage::QueueDefinition& definition,
                             const amqp::FieldTable& policy);

// The logs that a queue with these arguments needs: one for each priority.
std::uint32_t log_count(const storage::ArgumentBytes& arguments);

// Of a hidden queue: the delayed-message exchange that it belongs to.
inline constexpr std::string_view kDelayedExchangeArgument = "x-delayed-exchange";

}  // namespace warren::broker
