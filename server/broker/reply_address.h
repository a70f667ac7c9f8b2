// SPDX-License-Identifier: Apache-2.0
// Direct reply-to: names of the form "amq.rabbitmq.reply-to.<token>" stand for a channel that waits
// for replies. The token says which one and holds a secret, so that nobody answers who was not
// asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/broker/broker_ids.h"

namespace warren::broker {

// The pseudo-queue that a channel consumes its replies from.
inline constexpr std::string_view kReplyQueue = "amq.rabbitmq.reply-to";

// Is it the pseudo-queue or the address of somebody's replies?
inline bool names_reply_queue(std::string_view name) {
  return name.starts_with(kReplyQueue) &&
         (name.size() == kReplyQueue.size() || name[kReplyQueue.size()] == '.');
}
inline bool is_reply_address(std::string_view name) {
  return name.size() > kReplyQueue.size() && names_reply_queue(name);
}

std::string make_reply_address(ChannelKey channel, std::string_view secret);

// Whom the address claims to belong to; nothing when it does not parse. Whether it does is decided
// by that channel, which compares the whole name.
std::optional<ChannelKey> read_reply_address(std::string_view name);

}  // namespace warren::broker
