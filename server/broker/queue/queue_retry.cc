// SPDX-License-Identifier: Apache-2.0
// Delayed retry: a message that came back waits before it is ready again, longer each time
// (x-delayed-retry-type, -min, -max). The wait is in memory: after a restart the message is ready.
#include <algorithm>

#include "storage/base/assert.h"

#include "server/broker/queue/queue.h"

namespace warren::broker {

// 0: it is ready at once. Linear, as RabbitMQ: the shortest wait times the number of returns.
std::int64_t Queue::retry_delay_ms(const ReadyMessage& message, Settlement how) const {
  const auto& retry = settings_->delayed_retry;
  if (!retry) return 0;
  const bool delayed = how == Settlement::requeue_failed ? retry->failed : retry->returned;
  if (!delayed) return 0;
  if (message.returns > retry->max_ms / retry->min_ms) return retry->max_ms;
  return retry->min_ms * message.returns;
}

void Queue::wait(Lane& lane, ReadyMessage message, std::int64_t delay_ms) {
  waiting_.emplace(host_.now_ms() + delay_ms, Waiting{&lane, std::move(message)});
  host_.schedule(*this);  // sets the alarm
}

void Queue::end_waits() {
  while (!waiting_.empty() && waiting_.begin()->first <= host_.now_ms()) {
    Waiting& ended = waiting_.begin()->second;
    ended.lane->expiry.add(ended.message);
    ended.lane->ready.give_back(std::move(ended.message));
    waiting_.erase(waiting_.begin());
  }
}

// The retries were switched off, or all of them are to go.
void Queue::end_all_waits() {
  for (auto& [until, ended] : waiting_) {
    ended.lane->expiry.add(ended.message);
    ended.lane->ready.give_back(std::move(ended.message));
  }
  waiting_.clear();
}

}  // namespace warren::broker
