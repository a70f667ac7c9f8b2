// SPDX-License-Identifier: Apache-2.0
// What a shard does later: queues that are woken by the clock, and queues whose disk did not
// answer.
#include <algorithm>
#include <chrono>

#include "server/broker/broker_shard.h"

namespace warren::broker {
namespace {

// How long a queue whose messages could not be read stands still.
constexpr auto kReadRetry = std::chrono::seconds(1);

}  // namespace

void BrokerShard::schedule_at(Queue& queue, std::int64_t when_ms) {
  alarms_.emplace(when_ms, queue.id());
}

void BrokerShard::ring_alarms() {
  while (!alarms_.empty() && alarms_.top().first <= now_ms_) {
    if (Queue* const queue = find_queue(alarms_.top().second)) schedule(*queue);
    alarms_.pop();
  }
}

Instant BrokerShard::next_alarm(Instant now) const {
  if (alarms_.empty()) return Instant::max();
  // The wall clock may jump: it is looked at again before long.
  constexpr std::int64_t kLookAgainMs = 10'000;
  const std::int64_t wait =
      std::clamp<std::int64_t>(alarms_.top().first - now_ms_, 0, kLookAgainMs);
  return now + std::chrono::milliseconds(wait);
}

void BrokerShard::retry_later(Queue& queue) {
  failed_reads_.push_back(queue.id());
  if (retry_reads_at_ == Instant::max()) retry_reads_at_ = Instant::min();  // from the next turn on
}

void BrokerShard::retry_reads(Instant now) {
  if (retry_reads_at_ == Instant::min()) {
    retry_reads_at_ = now + kReadRetry;
    return;
  }
  retry_reads_at_ = Instant::max();
  std::vector<QueueId> batch;
  batch.swap(failed_reads_);
  for (const QueueId id : batch) {
    if (Queue* const queue = find_queue(id)) schedule(*queue);
  }
}

}  // namespace warren::broker
