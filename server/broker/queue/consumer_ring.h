// SPDX-License-Identifier: Apache-2.0
// The consumers of a queue that may take a message, in the order they take turns: the highest
// priority first, round robin among equals. A consumer without room leaves the ring and is put back
// when it has room again. Allocates nothing per message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "server/broker/queue/consumer.h"

namespace warren::broker {

// Runs on: the queue's shard. Owned by: Queue. A consumer is removed before it dies.
class ConsumerRing {
 public:
  // No-op when the consumer is in the ring or has no room.
  void put(Consumer& consumer);
  void remove(Consumer& consumer);
  // The consumer whose turn it is, taken out of the ring; null: none has room.
  Consumer* take();
  bool empty() const { return size_ == 0; }

 private:
  using Turns = boost::intrusive::list<
      Consumer,
      boost::intrusive::member_hook<Consumer, boost::intrusive::list_member_hook<>,
                                    &Consumer::in_ring>,
      boost::intrusive::constant_time_size<false>>;
  // Of one priority; stays when it is empty, until another one is needed.
  struct Level {
    std::int32_t priority = 0;
    Turns turns;
  };
  Turns& level(std::int32_t priority);

  std::vector<Level> levels_;  // the highest first
  std::size_t size_ = 0;
};

}  // namespace warren::broker
