// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/consumer_ring.h"

namespace warren::broker {

void ConsumerRing::put(Consumer& consumer) {
  if (consumer.in_ring || !consumer.has_room()) return;
  consumer.in_ring = true;
  levels_[consumer.priority].push_back(&consumer);
}

void ConsumerRing::remove(Consumer& consumer) {
  if (!consumer.in_ring) return;
  consumer.in_ring = false;
  const auto level = levels_.find(consumer.priority);
  std::erase(level->second, &consumer);
  if (level->second.empty()) levels_.erase(level);
}

Consumer* ConsumerRing::take() {
  while (!levels_.empty()) {
    const auto level = levels_.begin();
    Consumer* const consumer = level->second.front();
    level->second.pop_front();
    if (level->second.empty()) levels_.erase(level);
    consumer->in_ring = false;
    if (consumer->has_room()) return consumer;
  }
  return nullptr;
}

}  // namespace warren::broker
