// SPDX-License-Identifier: Apache-2.0
// basic.publish + content header + body frames -> one message block (P2: a content is exactly its
// announced size, never interleaved on one channel). Properties are kept as they came, but for BCC
// and for the name of the direct reply-to queue, which are replaced.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/block.h"

#include "server/amqp/amqp_error.h"
#include "server/amqp/gen/basic.gen.h"
#include "server/amqp/properties.h"
#include "server/broker/extra_keys.h"

namespace warren::session {

// What a channel says about the contents it takes.
struct ContentRules {
  std::uint64_t bytes_max = 0;
  std::int64_t now_ms = 0;
  Bytes reply_address;  // of its direct reply-to consumer; empty: there is none
};

// Runs on: the channel's shard. Owned by: Channel. Bound: message_bytes_max, and twice what has
// arrived.
class ContentAssembler {
 public:
  enum class State : std::uint8_t {
    idle,         // no publish under way
    want_header,  // after basic.publish
    want_body,    // after the header
    complete,     // take() gives the message
  };
  State state() const { return state_; }

  void start(const amqp::BasicPublish& publish);
  // Errors close the connection (505, 502) or the channel (406: too large, bad CC or BCC, no reply
  // consumer).
  std::optional<amqp::AmqpError> on_header(Bytes payload, const ContentRules& rules);
  std::optional<amqp::AmqpError> on_body(Bytes payload);
  BlockRef take();
  void reset();

  Bytes exchange() const { return Bytes(names_, exchange_size_); }
  Bytes routing_key() const { return Bytes(names_ + exchange_size_, routing_key_size_); }
  // Of CC and BCC.
  const std::vector<std::string>& extra_keys() const { return extra_.keys; }
  bool mandatory() const { return mandatory_; }
  bool immediate() const { return immediate_; }
  bool persistent() const { return persistent_; }
  // It has no property that a publish looks at.
  bool plain() const { return plain_; }

 private:
  std::optional<amqp::AmqpError> rewrite(amqp::PropertiesView& properties,
                                         const ContentRules& rules, Bytes& raw);
  void make_room(std::size_t more);

  State state_ = State::idle;
  bool mandatory_ = false;
  bool immediate_ = false;
  bool persistent_ = false;
  bool plain_ = false;
  std::uint8_t exchange_size_ = 0;
  std::uint8_t routing_key_size_ = 0;
  char names_[2 * amqp::kShortStringBytesMax] = {};  // exchange, routing key
  broker::ExtraKeys extra_;
  std::string rewritten_;  // properties
  BlockRef block_;
  std::size_t filled_ = 0;  // of the block
  std::size_t total_ = 0;   // the block's final size
};

}  // namespace warren::session
