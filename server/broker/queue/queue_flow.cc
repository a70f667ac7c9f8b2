// SPDX-License-Identifier: Apache-2.0
// A queue whose consumers nearly keep up holds its publishers back before it has to page: with
// several shards publishers are read by other threads than consumers are written by, and run ahead.
// Held only for consumers that wait for nothing but the broker, and only while these take something
// every few milliseconds: one that is slow or at its prefetch costs no publisher anything, and
// nobody waits for ever (B15).
#include <algorithm>

#include "server/broker/broker_limits.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {

// More is ready than consumers take at once. Not with messages on disk only: who drains a deep
// queue does not want its publishers to wait for the end of it.
bool Queue::is_ahead() const {
  const auto is_long = [this](const std::unique_ptr<Lane>& lane) {
    return lane != nullptr && lane->ready.is_filling(holds_publishers_);
  };
  return std::any_of(lanes_.begin(), lanes_.end(), is_long);
}

void Queue::fit_publishers() {
  const std::int64_t idle_ms = host_.now_ms() - taken_ms_;
  const bool flows = idle_ms >= 0 && idle_ms < kPatienceMs && full_consumers_ > 0 && ring_.empty();
  const bool hold = flows && is_ahead();
  if (hold == holds_publishers_) return;
  holds_publishers_ = hold;
  host_.hold_publishers(*this, hold);
}

}  // namespace warren::broker
