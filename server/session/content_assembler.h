// SPDX-License-Identifier: Apache-2.0
// basic.publish + content header + body frames -> one message block (P2: a content is exactly its
// announced size, never interleaved on one channel).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/block.h"

#include "server/amqp/amqp_error.h"
#include "server/amqp/gen/basic.gen.h"
#include "server/amqp/properties.h"

namespace warren::session {

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
  // Errors close the connection (505, 502) or the channel (406: too large).
  std::optional<amqp::AmqpError> on_header(Bytes payload, std::uint64_t bytes_max,
                                           std::int64_t now_ms);
  std::optional<amqp::AmqpError> on_body(Bytes payload);
  BlockRef take();
  void reset();

  const std::string& exchange() const { return exchange_; }
  const std::string& routing_key() const { return routing_key_; }
  bool mandatory() const { return mandatory_; }
  bool immediate() const { return immediate_; }
  bool persistent() const { return persistent_; }

 private:
  void make_room(std::size_t more);

  State state_ = State::idle;
  bool mandatory_ = false;
  bool immediate_ = false;
  bool persistent_ = false;
  std::string exchange_;
  std::string routing_key_;
  BlockRef block_;
  std::size_t filled_ = 0;  // of the block
  std::size_t total_ = 0;   // the block's final size
};

}  // namespace warren::session
