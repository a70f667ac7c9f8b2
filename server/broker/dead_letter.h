// SPDX-License-Identifier: Apache-2.0
// What becomes of a message that leaves a queue without being acknowledged: the copy for the
// dead-letter exchange, with its history (docs/compatibility.md). Pure: blocks in, blocks out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/block.h"

#include "server/broker/message.h"

namespace warren::broker {

enum class DeathReason : std::uint8_t { rejected, expired, maxlen, delivery_limit };
std::string_view death_reason_name(DeathReason reason);

// Where and why a message died.
struct Death {
  std::string queue;
  DeathReason reason = DeathReason::rejected;
  std::int64_t now_ms = 0;
  std::string exchange;                    // the dead-letter exchange
  std::optional<std::string> routing_key;  // in place of the message's own
};

struct DeadLetter {
  BlockRef block;
  std::vector<std::string> extra_keys;  // CC, unless the routing key was replaced
  // The queues it must not enter again: it came from there by itself, and nobody rejected it in
  // between. Only deaths under this broker count, not what a publisher wrote into x-death.
  std::vector<std::string> closed;
};

DeadLetter make_dead_letter(const Block& block, const Death& death);

// The message as a delayed-message exchange sends it on: x-delay is negative.
BlockRef make_released(const Block& block);

// The per-message time to live in ms, nothing when there is none.
std::optional<std::int64_t> expiration_of(const MessageView& message);
// The header x-delay in ms; 0: none, or not a positive integer.
std::int64_t delay_of(Bytes headers);
// When a delayed message is due; wall clock, ms.
std::int64_t delayed_until(const MessageView& message);

}  // namespace warren::broker
