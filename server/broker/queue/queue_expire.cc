// SPDX-License-Identifier: Apache-2.0
// What leaves a queue by itself: messages that expire or are too many, consumers that keep a
// delivery too long, the queue when nobody uses it.
#include <algorithm>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/broker/broker_limits.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {
namespace {

// Expired messages that are read from disk at once.
constexpr std::size_t kFetchMax = 512;
// How long work that no client waits for pauses when the disk is behind.
constexpr std::int64_t kPauseMs = 5;

}  // namespace

// Drops what has expired: all of the past, `also_now` what expires in this millisecond.
void Queue::expire(bool also_now) {
  const std::int64_t before_ms = host_.now_ms() + (also_now ? 1 : 0);
  expire_heads(before_ms);
  for (const auto& lane : lanes_) {
    if (lane == nullptr) continue;
    expire_indexed(*lane, before_ms);
    fetch_expired(*lane);
    refill_expiry(*lane);
  }
}

void Queue::expire_heads(std::int64_t before_ms) {
  for (const auto& lane : lanes_) {
    if (lane == nullptr || is_delayed()) continue;
    while (drops_left_ > 0) {
      const ReadyMessage* const message = lane->ready.front();
      if (message == nullptr || message->deadline_ms >= before_ms) break;
      --drops_left_;
      leave(*lane, take_front(*lane), DeathReason::expired);
    }
  }
}

void Queue::expire_indexed(Lane& lane, std::int64_t before_ms) {
  if (drops_left_ == 0) return;
  for (const storage::DueEntry& entry : lane.expiry.take_due(before_ms - 1, drops_left_)) {
    --drops_left_;
    if (auto message = lane.ready.remove(entry.seq)) {
      leave(lane, std::move(*message), DeathReason::expired);
    } else if (lane.ready.in_gap(entry.seq)) {
      if (entry.chunk != 0) {
        lane.expired.push_back(entry);
      } else {
        lane.expiry.look_again(entry);
      }
    } else if (lane.ready.in_tail(entry.seq)) {
      lane.expired_in_tail.push_back(entry);  // on its way to the disk
    } else if (entry.chunk != 0 && !lane.leaving.contains(entry.seq) &&
               !unacked_.contains(make_place(lane.index, entry.seq))) {
      log(lane).erase_due(entry);  // of a message that was lost
    }
  }
}

// Those in the gap are read, apart from what is ahead of them.
void Queue::fetch_expired(Lane& lane) {
  if (lane.fetching || lane.expired.empty() || drops_left_ == 0) return;
  lane.fetching = true;
  const std::size_t count = std::min(lane.expired.size(), kFetchMax);
  const auto end = lane.expired.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<storage::DueEntry> batch(lane.expired.begin(), end);
  lane.expired.erase(lane.expired.begin(), end);
  log(lane).fetch(batch, [this, &lane, batch](Result<std::vector<storage::StoredMessage>> result) {
    on_fetched(lane, batch, std::move(result));
  });
}

void Queue::on_fetched(Lane& lane, const std::vector<storage::DueEntry>& wanted,
                       Result<std::vector<storage::StoredMessage>> result) {
  lane.fetching = false;
  if (!result.ok()) {
    for (const storage::DueEntry& entry : wanted) lane.expiry.look_again(entry);
    return read_failed(lane.fetch_failure, result.error());
  }
  read_worked(lane.fetch_failure);
  std::vector<Seq> came;
  for (storage::StoredMessage& stored : *result) {
    came.push_back(stored.seq);
    if (!lane.ready.in_gap(stored.seq) || lane.leaving.contains(stored.seq)) {
      // Read in its turn meanwhile: it is in the window, or was taken from there. Or it was fetched
      // before, and is on its way out.
      log(lane).put_back(stored.seq);
      continue;
    }
    auto message = accept_stored(lane, std::move(stored));
    if (!message) continue;
    message->indexed = true;
    if (message->deadline_ms > host_.now_ms()) {
      log(lane).put_back(message->seq);  // a policy gave it more time
      continue;
    }
    lane.ready.remove_from_gap(*message);
    leave(lane, std::move(*message), DeathReason::expired);
  }
  for (const storage::DueEntry& entry : wanted) {
    const bool lost = !std::binary_search(came.begin(), came.end(), entry.seq);
    if (auto message = lost ? lane.ready.remove(entry.seq) : std::nullopt) {
      leave(lane, std::move(*message), DeathReason::expired);
    } else if (lost && lane.ready.in_gap(entry.seq)) {
      log(lane).erase_due(entry);
    }
  }
  finish_purge();
  close_empty_gap(lane);
  host_.schedule(*this);
}

// All of the gap has left out of its turn: there is nothing to read in it.
void Queue::close_empty_gap(Lane& lane) {
  if (!lane.ready.has_gap() || lane.ready.gap().count > 0 || !lane.is_settled()) return;
  const ReadyStore::Gap closed = lane.ready.close_empty_gap();
  log(lane).settle_range(closed.begin, closed.end, 0, 0, 0);
}

void Queue::refill_expiry(Lane& lane) {
  if (lane.refilling || !lane.expiry.wants_refill()) return;
  lane.refilling = true;
  log(lane).read_due(lane.expiry.begin_refill(), ExpiryIndex::kRefill,
                     [this, &lane](Result<std::vector<storage::DueEntry>> result) {
                       lane.refilling = false;
                       if (!result.ok()) {
                         return read_failed(lane.refill_failure, result.error());
                       }
                       read_worked(lane.refill_failure);
                       lane.expiry.refill(*result, result->size() < ExpiryIndex::kRefill);
                       host_.schedule(*this);
                     });
}

bool Queue::is_over_limit() const {
  if (settings_->max_length && ready_count() > *settings_->max_length) return true;
  if (!settings_->max_length_bytes) return false;
  std::uint64_t bytes = 0;
  for (const auto& lane : lanes_) {
    if (lane != nullptr) bytes += lane->ready.body_bytes();
  }
  return bytes > *settings_->max_length_bytes;
}

// From the head, which in a queue with priorities is the highest one, as RabbitMQ does.
void Queue::drop_overflow() {
  if (settings_->overflow != Overflow::drop_head) return;
  while (drops_left_ > 0 && is_over_limit()) {
    Lane* const lane = top_lane();
    if (lane == nullptr || lane->ready.front() == nullptr) return;  // it is being read
    --drops_left_;
    leave(*lane, take_front(*lane), DeathReason::maxlen);
  }
}

void Queue::check_time_outs() {
  const std::int64_t limit_ms = host_.now_ms() - *settings_->consumer_timeout_ms;
  if (oldest_unacked_ms_ > limit_ms) return;
  oldest_unacked_ms_ = kNoDeadline;
  for (const auto& [place, unacked] : unacked_) {
    if (unacked.delivered_ms == 0) continue;
    if (unacked.delivered_ms > limit_ms) {
      oldest_unacked_ms_ = std::min(oldest_unacked_ms_, unacked.delivered_ms);
    } else if (!unacked.consumer->timed_out) {
      unacked.consumer->timed_out = true;
      host_.time_out_consumer(*unacked.consumer, *settings_->consumer_timeout_ms);
    }
  }
}

void Queue::check_expires() {
  if (removing_ || consumer_count() > 0) return;
  if (host_.now_ms() < used_ms_ + *settings_->expires_ms) return;
  WLOG(info, "queue expired vhost='{}' queue='{}' expires_ms={}", printable(definition_->vhost),
       printable(definition_->name), *settings_->expires_ms);
  removing_ = true;
  host_.remove_unused(*this, Reply{});
}

// Asks for a dispatch when something of the above is due.
void Queue::set_alarm() {
  std::int64_t next = kNoDeadline;
  bool busy = false;
  for (const auto& lane : lanes_) {
    if (lane == nullptr) continue;
    if (!is_delayed()) {
      if (const ReadyMessage* const front = lane->ready.front()) {
        next = std::min(next, front->deadline_ms);
      }
    }
    next = std::min(next, lane->expiry.next_ms());
    busy = busy || (!lane->expired.empty() && !lane->fetching);
  }
  if (settings_->overflow == Overflow::drop_head && drops_left_ == 0 && is_over_limit())
    busy = true;
  if (settings_->consumer_timeout_ms && oldest_unacked_ms_ != kNoDeadline) {
    next = std::min(next, oldest_unacked_ms_ + *settings_->consumer_timeout_ms);
  }
  if (settings_->expires_ms && consumer_count() == 0 && !removing_) {
    next = std::min(next, used_ms_ + *settings_->expires_ms);
  }
  if (!waiting_.empty()) next = std::min(next, waiting_.begin()->first);
  if (holds_publishers_) next = std::min(next, taken_ms_ + kPatienceMs);
  const std::int64_t now = host_.now_ms();
  if (busy || next <= now) next = now + (drops_left_ == 0 && host_.overloaded() ? kPauseMs : 0);
  if (next == kNoDeadline || (alarm_ms_ > now && alarm_ms_ <= next)) return;
  alarm_ms_ = next;
  host_.schedule_at(*this, next);
}

}  // namespace warren::broker
