// SPDX-License-Identifier: Apache-2.0
// One connection of a script: frames in, messages by channel out.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/amqp/frame.h"

#include "tests/conformance/wire_message.h"
#include "tests/conformance/world.h"

namespace warren::conformance {

class Conversation {
 public:
  explicit Conversation(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

  void send(Bytes bytes) { transport_->send(bytes); }

  // The oldest message of this channel, which stays until take(); waits for one. Null: none came,
  // or the conversation is over.
  const Message* next(std::uint16_t channel, Duration wait);
  Message take(std::uint16_t channel);
  // The oldest message that has one of these names, wherever it stands; waits for one.
  std::optional<Message> take_first(std::uint16_t channel,
                                    std::initializer_list<std::string_view> names, Duration wait);

  // Reads for that long, or until the peer closes.
  void listen(Duration wait);
  // Waits for a heartbeat, or for one of these 8 bytes when the peer speaks another version.
  bool take_heartbeat(Duration wait);
  bool take_protocol_header(Duration wait);
  // Waits until the peer has closed.
  bool closed(Duration wait);

  // Every message that waits, of all channels or of one: "a.1: basic.ack ...". Empty: none.
  std::string leftovers(const std::string& name, int channel) const;
  // The peer broke the protocol: what it did. Empty: it did not.
  const std::string& broken() const { return broken_; }

  std::uint32_t frame_max = 131'072;

 private:
  bool receive(Duration wait);
  void parse();
  void on_frame(const amqp::Frame& frame);
  bool on_content(const amqp::Frame& frame);

  std::unique_ptr<Transport> transport_;
  std::string in_;
  std::map<std::uint16_t, std::deque<Message>> inbox_;
  unsigned heartbeats_ = 0;
  std::string broken_;
};

}  // namespace warren::conformance
