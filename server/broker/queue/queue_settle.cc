// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "storage/base/assert.h"

#include "server/broker/message.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {

void Queue::settle(Place place, Settlement how) {
  const auto at = unacked_.find(place);
  if (at == unacked_.end()) return;  // its holder is gone and it was given back already
  Unacked unacked = std::move(at->second);
  unacked_.erase(at);
  Consumer& consumer = *unacked.consumer;
  WARREN_ASSERT(consumer.unacked > 0);
  --consumer.unacked;
  Lane& lane = *lanes_[lane_of(place)];
  switch (how) {
    case Settlement::ack:
      forget(lane, unacked.message);
      break;
    case Settlement::reject:
      leave(lane, std::move(unacked.message), DeathReason::rejected);
      break;
    case Settlement::requeue:
    case Settlement::requeue_failed:
      requeue(place, std::move(unacked), how);
      break;
  }
  if (consumer.cancelled) {
    if (consumer.unacked == 0) collect_consumers();
    return;
  }
  ready_consumer(consumer);
  if (top_lane() != nullptr) host_.schedule(*this);
}

// Back to its place, ahead of everything that was never delivered, and flagged (B1, B4), unless it
// has come back too often. Perhaps after a while.
void Queue::requeue(Place place, Unacked unacked, Settlement how) {
  Lane& lane = *lanes_[lane_of(place)];
  ReadyMessage& message = unacked.message;
  message.redelivered = true;
  if (settings_->counts_returns) ++message.returns;
  if (settings_->delivery_limit && message.returns > *settings_->delivery_limit) {
    leave(lane, std::move(message), DeathReason::delivery_limit);
    return;
  }
  if (settings_->counts_returns && message.kept == Kept::durable) {
    log(lane).note_returns(message.seq, message.returns);
  }
  if (const std::int64_t delay_ms = retry_delay_ms(message, how); delay_ms > 0) {
    return wait(lane, std::move(message), delay_ms);
  }
  lane.expiry.add(message);
  lane.ready.give_back(std::move(message));
  host_.schedule(*this);
}

// The message leaves the queue and goes where its dead letters go.
void Queue::leave(Lane& lane, ReadyMessage message, DeathReason reason) {
  // A transient message ends with its process, also where it was stored for the sake of the index.
  const bool outlived =
      message.seq < lane.recovered_next && !MessageView(*message.block).persistent();
  if (outlived || (!settings_->dead_letter_exchange && !is_delayed())) {
    forget(lane, message);
    return;
  }
  Leaving leaving;
  leaving.place = make_place(lane.index, message.seq);
  leaving.message = std::move(message);
  leaving.reason = reason;
  lane.leaving.insert(leaving.message.seq);
  host_.dead_letter(*this, std::move(leaving));
}

void Queue::let_go(const Leaving& leaving) {
  if (leaving.never_was_here) return;
  Lane& lane = *lanes_[lane_of(leaving.place)];
  // Its publisher may still wait for it: now for where it went (B10).
  if (leaving.message.kept == Kept::durable) {
    if (const auto token = log(lane).detach_token(leaving.message.seq)) {
      host_.confirm_when_durable(*token);
    }
  }
  forget(lane, leaving.message);
  const bool was_leaving = lane.leaving.erase(leaving.message.seq) == 1;
  WARREN_INVARIANT(B10, was_leaving);
  if (!lane.leaving.empty()) return;
  finish_purge();
  close_empty_gap(lane);
}

void Queue::holder_gone(ChannelKey holder) {
  const auto theirs = [&holder](const Consumer& consumer) {
    return consumer.channel.connection == holder.connection &&
           (holder.channel == 0 || consumer.channel.channel == holder.channel);
  };
  bool lost_consumer = false;
  bool holds = false;
  for (const auto& consumer : consumers_) {
    if (!theirs(*consumer)) continue;
    if (consumer->unacked > 0) holds = true;
    if (consumer->cancelled) continue;
    if (consumer->number != 0) lost_consumer = true;
    drop_consumer(*consumer);
  }
  if (holds) {
    std::vector<Place> back;
    for (const auto& [place, unacked] : unacked_) {
      if (theirs(*unacked.consumer)) back.push_back(place);
    }
    std::sort(back.begin(), back.end());
    for (const Place place : back) {
      const auto at = unacked_.find(place);
      Unacked unacked = std::move(at->second);
      unacked_.erase(at);
      --unacked.consumer->unacked;
      requeue(place, std::move(unacked), Settlement::requeue);
    }
  }
  const auto gone = std::remove_if(gets_.begin(), gets_.end(), [&](const GetRequest& request) {
    return request.channel.connection == holder.connection &&
           (holder.channel == 0 || request.channel.channel == holder.channel);
  });
  gets_.erase(gone, gets_.end());
  choose_active();
  collect_consumers();
  if (holder.channel == 0) holders_.erase(holder.connection.value);
  if (lost_consumer) check_unused(Reply{});
}

}  // namespace warren::broker
