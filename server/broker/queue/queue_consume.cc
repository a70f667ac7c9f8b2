// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/broker/queue/queue.h"

namespace warren::broker {

std::optional<amqp::AmqpError> Queue::refuse_consume(const ConsumeRequest& request) const {
  bool taken = request.exclusive && consumer_count() > 0;
  // Who has it for itself is the only one.
  if (consumer_count() == 1 && by_number_.begin()->second->exclusive) taken = true;
  if (request.exclusive && settings_->single_active_consumer) taken = true;
  if (!taken) return std::nullopt;
  return amqp::channel_error(amqp::ReplyCode::access_refused,
                             fmt::format("queue '{}' in vhost '{}' in exclusive use",
                                         definition_->name, definition_->vhost));
}

void Queue::consume(const ConsumeRequest& request) {
  Reply reply;
  reply.to = request.reply_to;
  reply.error = refuse_consume(request);
  if (reply.error) {
    host_.reply(std::move(reply));
    return;
  }
  auto consumer = std::make_unique<Consumer>();
  consumer->channel = request.channel;
  consumer->number = request.consumer;
  consumer->tag = request.tag;
  consumer->no_ack = request.no_ack;
  consumer->exclusive = request.exclusive;
  consumer->shared_limit = request.shared_limit;
  consumer->limit_epoch = request.limit_epoch;
  consumer->prefetch = request.prefetch;
  consumer->priority = request.priority;
  Consumer& added = *consumer;
  by_number_.emplace(std::pair(request.channel.connection.value, request.consumer), &added);
  consumers_.push_back(std::move(consumer));
  had_consumer_ = true;
  touch();
  choose_active();
  ready_consumer(added);
  reply.consumer_count = consumer_count();
  host_.reply(std::move(reply));
  host_.schedule(*this);
}

bool Queue::may_be_active(const Consumer& consumer) const {
  return !consumer.cancelled && consumer.number != 0;
}

// Of a queue with a single active consumer: the first one stays it until it goes; in a quorum queue
// one of a higher priority takes over.
void Queue::choose_active() {
  if (!settings_->single_active_consumer) return;
  const bool by_priority = settings_->type == QueueType::quorum;
  Consumer* chosen = active_;
  for (const auto& consumer : consumers_) {
    if (!may_be_active(*consumer)) continue;
    const bool better = chosen == nullptr || (by_priority && consumer->priority > chosen->priority);
    if (better) chosen = consumer.get();
  }
  if (chosen == active_) return;
  if (active_ != nullptr) ring_.remove(*active_);
  active_ = chosen;
  if (active_ != nullptr) ready_consumer(*active_);
  host_.schedule(*this);
}

// Puts the consumer into the ring if it may take messages.
void Queue::ready_consumer(Consumer& consumer) {
  if (settings_->single_active_consumer && &consumer != active_) return;
  ring_.put(consumer);
}

Consumer* Queue::find_consumer(ChannelKey channel, ConsumerNumber number) {
  const auto at = by_number_.find(std::pair(channel.connection.value, number));
  return at == by_number_.end() ? nullptr : at->second;
}

// Stands for all basic.gets of a channel, so that what they hold can be given back.
Consumer& Queue::getter(ChannelKey channel) {
  for (const auto& consumer : consumers_) {
    if (consumer->number == 0 && consumer->channel == channel) return *consumer;
  }
  auto consumer = std::make_unique<Consumer>();
  consumer->channel = channel;
  consumers_.push_back(std::move(consumer));
  return *consumers_.back();
}

void Queue::cancel(const CancelRequest& request) {
  Reply reply;
  reply.to = request.reply_to;
  Consumer* const consumer = find_consumer(request.channel, request.consumer);
  if (consumer == nullptr) {
    host_.reply(std::move(reply));
    return;
  }
  drop_consumer(*consumer);
  choose_active();
  collect_consumers();
  check_unused(std::move(reply));
}

void Queue::grant(const Grant& grant) {
  Consumer* const consumer = find_consumer(grant.channel, grant.consumer);
  // Cancelled meanwhile, or of a limit that is no more: the session took its room back.
  if (consumer == nullptr || grant.limit_epoch != consumer->limit_epoch) return;
  consumer->asked = false;
  consumer->granted += grant.count;
  grants_out_ += grant.count;
  ready_consumer(*consumer);
  host_.schedule(*this);
}

void Queue::share_limit(const ShareLimit& change) {
  Consumer* const consumer = find_consumer(change.channel, change.consumer);
  if (consumer == nullptr) return;
  consumer->shared_limit = change.shared;
  consumer->limit_epoch = change.limit_epoch;
  consumer->asked = false;
  grants_out_ -= consumer->granted;
  consumer->granted = 0;
  ready_consumer(*consumer);
  host_.schedule(*this);
}

void Queue::return_credit(const CreditReturn& credit) {
  Consumer* const consumer = find_consumer(credit.channel, credit.consumer);
  if (consumer == nullptr) return;
  WARREN_ASSERT(consumer->in_flight_bytes >= credit.bytes);
  const bool was_full = consumer->is_full();
  consumer->in_flight_bytes -= credit.bytes;
  if (was_full && !consumer->is_full()) --full_consumers_;
  taken_ms_ = host_.now_ms();
  ready_consumer(*consumer);
  if (top_lane() != nullptr) host_.schedule(*this);
}

void Queue::drop_consumer(Consumer& consumer) {
  ring_.remove(consumer);
  if (consumer.is_full()) --full_consumers_;
  consumer.cancelled = true;
  if (&consumer == active_) active_ = nullptr;
  grants_out_ -= consumer.granted;
  consumer.granted = 0;
  if (consumer.number != 0) {
    by_number_.erase(std::pair(consumer.channel.connection.value, consumer.number));
    touch();
    if (settings_->expires_ms) host_.schedule(*this);
  }
}

// Cancelled consumers live on while they hold messages.
void Queue::collect_consumers() {
  std::erase_if(consumers_, [](const std::unique_ptr<Consumer>& consumer) {
    return consumer->cancelled && consumer->unacked == 0;
  });
}

void Queue::check_unused(Reply reply) {
  if (definition_->auto_delete && had_consumer_ && consumer_count() == 0 && !removing_) {
    removing_ = true;
    host_.remove_unused(*this, std::move(reply));
    return;
  }
  host_.reply(std::move(reply));
}

}  // namespace warren::broker
