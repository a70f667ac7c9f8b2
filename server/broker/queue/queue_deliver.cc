// SPDX-License-Identifier: Apache-2.0
#include "storage/base/assert.h"

#include "server/broker/queue/queue.h"

namespace warren::broker {

void Queue::get(const GetRequest& request) {
  touch();
  gets_.push_back(request);
  host_.schedule(*this);
}

void Queue::on_mark_raised() {
  host_.schedule(*this);
}

// Is the next message here, and may it leave? (R13: a durable message is delivered only when the
// store knows that it may have been, so that it comes back flagged after a crash.)
bool Queue::front_deliverable() {
  Lane* const lane = top_lane();
  ReadyMessage* const message = lane == nullptr ? nullptr : lane->ready.front();
  if (message == nullptr || message->deadline_ms < host_.now_ms()) return false;
  if (message->kept != Kept::durable || message->redelivered) return true;
  return log(*lane).may_deliver(message->seq);
}

void Queue::dispatch() {
  constexpr unsigned kDropsPerDispatch = 1000;
  const bool pauses = settings_->dead_letter_exchange && host_.overloaded();
  const unsigned drops_max = pauses ? 0 : kDropsPerDispatch;
  drops_left_ = drops_max;
  end_waits();
  if (is_delayed()) {
    expire(true);
  } else {
    // A time to live of zero is for consumers that wait, not for a basic.get behind the publish.
    expire(ring_.empty());
    serve_gets();
    deliver_to_consumers();
    expire(true);
    drop_overflow();
    if (drops_left_ < drops_max) {
      serve_gets();
      if (!ring_.empty()) host_.schedule(*this);  // something else is at the head
    }
  }
  if (settings_->consumer_timeout_ms) check_time_outs();
  if (settings_->expires_ms) check_expires();
  fit_windows();
  read_ahead();
  fit_publishers();
  set_alarm();
}

void Queue::deliver_to_consumers() {
  if (gets_.empty()) {
    while (!ring_.empty() && front_deliverable()) {
      Consumer* const consumer = ring_.take();
      if (consumer == nullptr) break;
      if (!admitted(*consumer)) continue;
      deliver_front(*consumer);
      ready_consumer(*consumer);
    }
  }
  if (grants_out_ > 0) return_unused_grants();
}

// Under a shared limit a delivery needs a grant of the session.
bool Queue::admitted(Consumer& consumer) {
  if (!consumer.shared_limit || consumer.granted > 0) return true;
  if (!consumer.asked) {
    consumer.asked = true;
    host_.ask(consumer);
  }
  return false;
}

void Queue::return_unused_grants() {
  for (const auto& consumer : consumers_) {
    if (consumer->granted == 0) continue;
    grants_out_ -= consumer->granted;
    host_.return_grant(*consumer, consumer->granted);
    consumer->granted = 0;
    ready_consumer(*consumer);
  }
}

void Queue::serve_gets() {
  while (!gets_.empty()) {
    if (top_lane() != nullptr && !front_deliverable()) return;  // it is being read, or marked
    const GetRequest request = gets_.front();
    gets_.pop_front();
    answer_get(request);
  }
}

// Out of the ready ones: delivered, or dropped.
ReadyMessage Queue::take_front(Lane& lane) {
  ReadyMessage message = lane.ready.take_front();
  lane.expiry.remove(message);
  return message;
}

void Queue::hold(Lane& lane, ReadyMessage message, Consumer& consumer) {
  ++consumer.unacked;
  Unacked unacked;
  unacked.consumer = &consumer;
  if (settings_->consumer_timeout_ms && consumer.number != 0) {
    unacked.delivered_ms = host_.now_ms();
    oldest_unacked_ms_ = std::min(oldest_unacked_ms_, unacked.delivered_ms);
  }
  const Place place = make_place(lane.index, message.seq);
  unacked.message = std::move(message);
  const bool added = unacked_.emplace(place, std::move(unacked)).second;
  WARREN_INVARIANT(B2, added);
}

void Queue::answer_get(const GetRequest& request) {
  Reply reply;
  reply.to = request.reply_to;
  if (Lane* const lane = top_lane()) {
    ReadyMessage message = take_front(*lane);
    reply.queue = definition_->log;
    reply.place = make_place(lane->index, message.seq);
    reply.redelivered = message.redelivered;
    reply.block = message.block;
    if (settings_->counts_returns) reply.returns = message.returns;
    if (request.no_ack) {
      forget(*lane, message);
    } else {
      hold(*lane, std::move(message), getter(request.channel));
    }
  }
  reply.message_count = clamped_ready_count();
  host_.reply(std::move(reply));
}

void Queue::deliver_front(Consumer& consumer) {
  WARREN_INVARIANT(B3, consumer.has_room());
  Lane& lane = *top_lane();
  ReadyMessage message = take_front(lane);
  const bool granted = consumer.granted > 0;
  if (granted) {
    --consumer.granted;
    --grants_out_;
  }
  consumer.in_flight_bytes += message.block->size();
  if (consumer.is_full()) ++full_consumers_;  // it had room before
  Delivery delivery;
  delivery.connection = consumer.channel.connection;
  delivery.consumer = consumer.number;
  delivery.queue = definition_->log;
  delivery.place = make_place(lane.index, message.seq);
  delivery.redelivered = message.redelivered;
  delivery.granted = granted;
  delivery.limit_epoch = consumer.limit_epoch;
  if (settings_->counts_returns) delivery.returns = message.returns;
  if (consumer.no_ack) {
    forget(lane, message);
    delivery.block = std::move(message.block);
  } else {
    delivery.block = message.block;
    hold(lane, std::move(message), consumer);
  }
  host_.deliver(consumer, std::move(delivery));
}

}  // namespace warren::broker
