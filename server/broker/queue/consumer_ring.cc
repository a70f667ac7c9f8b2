// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/consumer_ring.h"

#include <algorithm>

namespace warren::broker {

ConsumerRing::Turns& ConsumerRing::level(std::int32_t priority) {
  const auto is_at = [priority](const Level& level) { return level.priority == priority; };
  const auto known = std::find_if(levels_.begin(), levels_.end(), is_at);
  if (known != levels_.end()) return known->turns;
  std::erase_if(levels_, [](const Level& level) { return level.turns.empty(); });
  const auto lower = std::find_if(levels_.begin(), levels_.end(), [priority](const Level& level) {
    return level.priority < priority;
  });
  return levels_.insert(lower, Level{priority, {}})->turns;
}

void ConsumerRing::put(Consumer& consumer) {
  if (consumer.in_ring.is_linked() || !consumer.has_room()) return;
  level(consumer.priority).push_back(consumer);
  ++size_;
}

void ConsumerRing::remove(Consumer& consumer) {
  if (!consumer.in_ring.is_linked()) return;
  Turns& turns = level(consumer.priority);
  turns.erase(turns.iterator_to(consumer));
  --size_;
}

Consumer* ConsumerRing::take() {
  for (Level& level : levels_) {
    while (!level.turns.empty()) {
      Consumer& consumer = level.turns.front();
      level.turns.pop_front();
      --size_;
      if (consumer.has_room()) return &consumer;
    }
  }
  return nullptr;
}

}  // namespace warren::broker
