// SPDX-License-Identifier: Apache-2.0
#include "server/session/content_assembler.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/gen/constants.gen.h"
#include "server/broker/message.h"
#include "server/broker/reply_address.h"
#include "server/session/session_limits.h"

namespace warren::session {

void ContentAssembler::start(const amqp::BasicPublish& publish) {
  WARREN_ASSERT(state_ == State::idle);
  state_ = State::want_header;
  exchange_size_ = static_cast<std::uint8_t>(publish.exchange.size());
  routing_key_size_ = static_cast<std::uint8_t>(publish.routing_key.size());
  std::memcpy(names_, publish.exchange.value.data(), exchange_size_);
  std::memcpy(names_ + exchange_size_, publish.routing_key.value.data(), routing_key_size_);
  extra_.keys.clear();
  mandatory_ = publish.mandatory;
  immediate_ = publish.immediate;
}

std::optional<amqp::AmqpError> ContentAssembler::on_header(Bytes payload,
                                                           const ContentRules& rules) {
  if (state_ != State::want_header) {
    return amqp::connection_error(amqp::ReplyCode::unexpected_frame,
                                  "content header frame without a method that carries content");
  }
  amqp::ContentHeader header;
  if (!amqp::read_content_header(payload, header)) {
    return amqp::connection_error(amqp::ReplyCode::syntax_error, "malformed content header");
  }
  if (header.class_id != amqp::kClassBasic) {
    return amqp::connection_error(
        amqp::ReplyCode::unexpected_frame,
        fmt::format("expected content header for class 60, got one for class {} instead",
                    header.class_id));
  }
  amqp::PropertiesView properties;
  if (!amqp::parse_properties(header.raw_properties, properties)) {
    return amqp::connection_error(amqp::ReplyCode::syntax_error, "malformed basic properties");
  }
  if (header.body_size > rules.bytes_max) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                               fmt::format("message size {} is larger than configured max size {}",
                                           header.body_size, rules.bytes_max));
  }
  if (auto error = rewrite(properties, rules, header.raw_properties)) return error;
  broker::MessageHead head;
  head.persistent = properties.delivery_mode == amqp::kDeliveryModePersistent;
  head.priority = properties.priority.value_or(0);
  head.published_ms = rules.now_ms;
  head.exchange = exchange();
  head.routing_key = routing_key();
  head.properties = header.raw_properties;
  persistent_ = head.persistent;
  plain_ = !properties.headers && !properties.expiration && !properties.user_id;
  const auto body_size = static_cast<std::size_t>(header.body_size);
  const std::size_t at_first = std::min<std::size_t>(body_size, kBodyTrustedBytes);
  block_ = broker::start_message(head, at_first);
  filled_ = block_->size() - at_first;
  total_ = filled_ + body_size;
  state_ = body_size == 0 ? State::complete : State::want_body;
  return std::nullopt;
}

// Takes the extra keys out of the headers, and puts the reply address in. Almost no message has
// either: `raw` stays as it came.
std::optional<amqp::AmqpError> ContentAssembler::rewrite(amqp::PropertiesView& properties,
                                                         const ContentRules& rules, Bytes& raw) {
  bool changed = false;
  if (properties.headers && broker::may_hold_extra_keys(properties.headers->value)) {
    extra_.headers.reset();
    if (auto error = broker::read_extra_keys(properties.headers->value, extra_)) return error;
    if (extra_.headers) {
      properties.headers = amqp::TableBytes(*extra_.headers);
      changed = true;
    }
  }
  if (properties.reply_to && properties.reply_to->value == broker::kReplyQueue) {
    if (rules.reply_address.empty()) {
      return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                                 "fast reply consumer does not exist");
    }
    properties.reply_to = amqp::ShortString(rules.reply_address);
    changed = true;
  }
  if (!changed) return std::nullopt;
  rewritten_.clear();
  amqp::encode_properties(rewritten_, properties);
  raw = rewritten_;
  return std::nullopt;
}

std::optional<amqp::AmqpError> ContentAssembler::on_body(Bytes payload) {
  if (state_ != State::want_body) {
    return amqp::connection_error(amqp::ReplyCode::unexpected_frame,
                                  "content body frame without a content header before it");
  }
  if (payload.size() > total_ - filled_) {
    return amqp::connection_error(amqp::ReplyCode::unexpected_frame,
                                  "content body is longer than its header announced");
  }
  if (payload.empty()) return std::nullopt;
  make_room(payload.size());
  std::memcpy(block_->data() + filled_, payload.data(), payload.size());
  filled_ += payload.size();
  if (filled_ == total_) state_ = State::complete;
  return std::nullopt;
}

// Grows the block with what has arrived, never with what was announced.
void ContentAssembler::make_room(std::size_t more) {
  if (filled_ + more <= block_->size()) return;
  const std::size_t size = std::min(total_, std::max(filled_ + more, 2 * block_->size()));
  BlockRef larger = Block::create(size);
  std::memcpy(larger->data(), block_->data(), filled_);
  block_ = std::move(larger);
}

BlockRef ContentAssembler::take() {
  WARREN_INVARIANT(P2, state_ == State::complete && filled_ == total_);
  WARREN_INVARIANT(P2, block_->size() == total_);
  state_ = State::idle;
  return std::move(block_);
}

void ContentAssembler::reset() {
  state_ = State::idle;
  block_.reset();
}

}  // namespace warren::session
