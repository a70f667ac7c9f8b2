// SPDX-License-Identifier: Apache-2.0
// The consumers of a queue that may take a message, in the order they take turns: the highest
// priority first, round robin among equals. A consumer without room leaves the ring and is put back
// when it has room again.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "server/broker/queue/consumer.h"

namespace warren::broker {

class ConsumerRing {
 public:
  // No-op when the consumer is in the ring or has no room.
  void put(Consumer& consumer);
  void remove(Consumer& consumer);
  // The consumer whose turn it is, taken out of the ring; null: none has room.
  Consumer* take();
  bool empty() const { return levels_.empty(); }

 private:
  std::map<std::int32_t, std::deque<Consumer*>, std::greater<>> levels_;
};

}  // namespace warren::broker
