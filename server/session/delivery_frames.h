// SPDX-License-Identifier: Apache-2.0
// basic.deliver with its content, written in one go: what a busy consumer gets, message after
// message. The parts that are the same for all of a consumer's deliveries are encoded once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/broker/message.h"

namespace warren::session {

class DeliveryFrames {
 public:
  // REQUIRES: a tag of at most 255 bytes.
  DeliveryFrames(std::uint16_t channel, std::string_view consumer_tag);

  // Method, header and body frames. REQUIRES: the header and the body each fit one frame.
  void append(std::string& out, std::uint64_t delivery_tag, bool redelivered,
              const broker::MessageView& message) const;

 private:
  std::uint16_t channel_;
  std::string beginning_;  // class, method, consumer tag
};

}  // namespace warren::session
