// SPDX-License-Identifier: Apache-2.0
// Consuming and settling: qos, consume, cancel, get, ack, nack, reject, recover.
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"
#include "server/broker/arguments.h"
#include "server/broker/reply_address.h"
#include "server/session/channel_send.h"

namespace warren::session {
namespace {

std::string describe(const storage::QueueDefinition& queue) {
  return fmt::format("queue '{}' in vhost '{}'", queue.name, queue.vhost);
}

}  // namespace

Outcome Channel::handle(const amqp::BasicQos& method) {
  if (method.prefetch_size != 0) {
    return amqp::connection_error(amqp::ReplyCode::not_implemented,
                                  fmt::format("prefetch_size!=0 ({})", method.prefetch_size));
  }
  if (method.global) {
    set_shared_limit(method.prefetch_count);
  } else {
    prefetch_ = method.prefetch_count;
  }
  send(amqp::BasicQosOk{});
  return {};
}

// A limit over all consumers of the channel holds at once, for the ones that are there too.
void Channel::set_shared_limit(std::uint16_t limit) {
  const bool had = shared_limit_ != 0;
  shared_limit_ = limit;
  const bool has = limit != 0;
  if (had != has) {
    // Grants and asks of the time before are void.
    ++limit_epoch_;
    asks_.clear();
    shared_granted_ = 0;
    for (const auto& [tag, consumer] : consumers_) {
      consumer->granted = 0;
      broker().send(consumer->home, broker::ShareLimit{consumer->queue, key(), consumer->number,
                                                       has, limit_epoch_});
    }
  }
  serve_asks();
}

void Channel::on_ask(ConsumerRecord& consumer, const broker::Ask& ask) {
  if (shared_limit_ == 0 || ask.limit_epoch != limit_epoch_) return;
  asks_.push_back(consumer.number);
  serve_asks();
}

void Channel::on_grant_return(ConsumerRecord& consumer, const broker::GrantReturn& back) {
  if (back.limit_epoch != limit_epoch_) return;
  WARREN_ASSERT(consumer.granted >= back.count && shared_granted_ >= back.count);
  consumer.granted -= back.count;
  shared_granted_ -= back.count;
  serve_asks();
}

// Lets waiting consumers through, in turn, while the channel's limit has room.
void Channel::serve_asks() {
  constexpr std::uint64_t kGrantMax = 64;
  while (!asks_.empty() && shared_limit_ != 0) {
    const std::uint64_t taken = shared_unacked_ + shared_granted_;
    if (taken >= shared_limit_) return;
    ConsumerRecord* const consumer = session_.find_consumer(asks_.front());
    asks_.pop_front();
    if (consumer == nullptr) continue;
    const std::uint64_t share = (shared_limit_ - taken) / (asks_.size() + 1);
    const auto count = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(share, 1, kGrantMax));
    consumer->granted += count;
    shared_granted_ += count;
    broker().send(consumer->home,
                  broker::Grant{consumer->queue, key(), consumer->number, count, limit_epoch_});
  }
}

ConsumerRecord* Channel::find_consumer(std::string_view tag) {
  const auto at = consumers_.find(tag);
  return at == consumers_.end() ? nullptr : at->second.get();
}

void Channel::forget_consumer(ConsumerRecord& consumer) {
  shared_granted_ -= consumer.granted;
  session_.remove_consumer(consumer);
  const auto at = consumers_.find(consumer.tag);
  WARREN_ASSERT(at != consumers_.end() && at->second.get() == &consumer);
  consumers_.erase(at);
  serve_asks();  // the room it had is the others'
}

Outcome Channel::read_consumer_arguments(Bytes encoded, const broker::QueueHandle& queue,
                                         std::int32_t& priority) {
  if (encoded.empty()) return {};
  const auto arguments = amqp::decode_table(encoded);
  const auto queue_arguments = amqp::decode_table(queue.definition->arguments);
  if (!arguments.ok() || !queue_arguments.ok()) return {};
  if (auto error = broker::check_consumer_arguments(*arguments, *queue_arguments,
                                                    describe(*queue.definition))) {
    return error;
  }
  if (const amqp::FieldValue* const value = arguments->find(broker::kConsumerPriority)) {
    const std::int64_t number = amqp::as_integer(*value).value_or(0);
    priority = static_cast<std::int32_t>(std::clamp<std::int64_t>(number, INT32_MIN, INT32_MAX));
  }
  return {};
}

Outcome Channel::refuse_consumer(std::string_view tag) {
  if ((reply_consumer_ && tag == reply_consumer_->tag) || find_consumer(tag) != nullptr) {
    return amqp::connection_error(amqp::ReplyCode::not_allowed,
                                  fmt::format("attempt to reuse consumer tag '{}'", tag));
  }
  const std::size_t limit = session_.limits().consumers_per_channel_max;
  if (limit != 0 && consumers_.size() + (reply_consumer_ ? 1 : 0) >= limit) {
    return amqp::connection_error(
        amqp::ReplyCode::not_allowed,
        fmt::format("reached maximum ({}) of consumers per channel", limit));
  }
  return {};
}

Outcome Channel::handle(const amqp::BasicConsume& method) {
  if (Outcome refused = refuse_consumer(method.consumer_tag)) return refused;
  if (queue_name(method.queue) == broker::kReplyQueue) return consume_replies(method);
  broker::QueueHandle* handle = nullptr;
  if (Outcome error = find_readable_queue(method.queue, handle)) return error;
  std::int32_t priority = 0;
  if (Outcome error = read_consumer_arguments(method.arguments, *handle, priority)) return error;
  auto consumer = std::make_unique<ConsumerRecord>(
      number_, method.consumer_tag.empty() ? session_.random_name("amq.ctag-")
                                           : std::string(method.consumer_tag.value));
  consumer->queue = handle->id;
  consumer->queue_name = handle->definition->name;
  consumer->home = handle->home;
  consumer->no_ack = method.no_ack;
  session_.add_consumer(*consumer);
  used_shards_ |= std::uint64_t{1} << handle->home;

  PendingRequest pending;
  pending.what = Waiting::consume;
  pending.queue = handle->definition->name;
  pending.nowait = method.nowait;
  pending.name = consumer->tag;
  pending.consumer = consumer->number;
  broker::ConsumeRequest request;
  request.queue = handle->id;
  request.channel = key();
  request.consumer = consumer->number;
  request.tag = consumer->tag;
  request.no_ack = method.no_ack;
  request.exclusive = method.exclusive;
  request.shared_limit = shared_limit_ != 0;
  request.limit_epoch = limit_epoch_;
  request.prefetch = prefetch_;
  request.priority = priority;
  const ShardIndex home = handle->home;
  const std::string_view tag = consumer->tag;
  const bool added = consumers_.emplace(tag, std::move(consumer)).second;
  WARREN_ASSERT(added);
  session_.request(number_, std::move(pending), home, [&](broker::ReplyTo to) {
    request.reply_to = to;
    return std::move(request);
  });
  return {};
}

Outcome Channel::handle(const amqp::BasicCancel& method) {
  if (reply_consumer_ && method.consumer_tag == reply_consumer_->tag) reply_consumer_.reset();
  ConsumerRecord* const consumer = find_consumer(method.consumer_tag);
  if (consumer == nullptr) {
    if (!method.nowait) send(amqp::BasicCancelOk{.consumer_tag = method.consumer_tag});
    return {};
  }
  PendingRequest pending;
  pending.what = Waiting::cancel;
  pending.nowait = method.nowait;
  pending.name = consumer->tag;
  pending.consumer = consumer->number;
  broker::CancelRequest request{{}, consumer->queue, key(), consumer->number};
  // Deliveries that are under way still reach the client: the record goes with the answer.
  session_.request(number_, std::move(pending), consumer->home, [&](broker::ReplyTo to) {
    request.reply_to = to;
    return request;
  });
  return {};
}

void Channel::recheck_consumers() {
  for (const auto& [tag, consumer] : consumers_) {
    if (!check_permission(auth::Operation::read, consumer->queue_name)) continue;
    // Deliveries that are under way still reach the client: the record goes when the queue says so.
    broker::CancelRequest request{{}, consumer->queue, key(), consumer->number};
    request.by_broker = true;
    broker().send(consumer->home, request);
  }
}

// The queue is gone, or may not be read any more. Clients that asked for it are told.
void Channel::on_consumer_cancelled(ConsumerRecord& consumer) {
  if (session_.cancel_notify()) {
    send(amqp::BasicCancel{.consumer_tag = consumer.tag, .nowait = true});
  }
  forget_consumer(consumer);
}

void Channel::on_delivery(ConsumerRecord& consumer, const broker::Delivery& delivery) {
  const broker::MessageView message(*delivery.block);
  const UnackedDelivery unacked{delivery.queue, delivery.place, consumer.number, consumer.home, 0};
  if (delivery.granted && delivery.limit_epoch == limit_epoch_) {
    WARREN_ASSERT(consumer.granted > 0 && shared_granted_ > 0);
    --consumer.granted;
    --shared_granted_;
  }
  if (delivery.returns == 0 && session_.fits_frames(message)) {
    const std::uint64_t tag = track(unacked, consumer.no_ack);
    session_.send_delivery(consumer.frames, tag, delivery.redelivered, message);
  } else {
    const auto properties = session_.header_for(message, delivery.returns);
    if (!properties) return;
    amqp::BasicDeliver deliver;
    deliver.consumer_tag = consumer.tag;
    deliver.delivery_tag = track(unacked, consumer.no_ack);
    deliver.redelivered = delivery.redelivered;
    deliver.exchange = message.exchange();
    deliver.routing_key = message.routing_key();
    send(deliver);
    session_.send_content(number_, delivery.block, *properties);
  }
  session_.owe_credit(consumer, delivery.block->size());
  // It obeyed the limit but takes nothing of it: the room is free again.
  if (consumer.no_ack && !asks_.empty()) serve_asks();
}

// The delivery's tag (P4).
std::uint64_t Channel::track(const UnackedDelivery& delivery, bool no_ack) {
  if (no_ack) return unacked_.skip();
  if (delivery.consumer != 0) ++shared_unacked_;
  return unacked_.add(delivery);
}

Outcome Channel::handle(const amqp::BasicGet& method) {
  broker::QueueHandle* handle = nullptr;
  if (Outcome error = find_readable_queue(method.queue, handle)) return error;
  if (!handle->definition->arguments.empty()) {
    const auto arguments = amqp::decode_table(handle->definition->arguments);
    if (arguments.ok()) {
      if (auto error = broker::check_get(*arguments, describe(*handle->definition))) return error;
    }
  }
  used_shards_ |= std::uint64_t{1} << handle->home;
  PendingRequest pending;
  pending.what = Waiting::get;
  pending.queue = handle->definition->name;
  pending.no_ack = method.no_ack;
  pending.home = handle->home;
  const broker::QueueId id = handle->id;
  session_.request(number_, std::move(pending), handle->home, [&](broker::ReplyTo to) {
    return broker::GetRequest{to, id, key(), method.no_ack};
  });
  return {};
}

void Channel::settle(const std::vector<UnackedDelivery>& deliveries, broker::Settlement how) {
  for (const UnackedDelivery& delivery : deliveries) {
    if (delivery.consumer != 0) {
      WARREN_ASSERT(shared_unacked_ > 0);
      --shared_unacked_;
    }
    broker().settle(delivery.home, delivery.queue, delivery.place, how);
  }
  if (!asks_.empty()) serve_asks();
}

Outcome Channel::settle_tag(std::uint64_t tag, bool multiple, broker::Settlement how) {
  scratch_.clear();
  if (!unacked_.settle(tag, multiple, scratch_)) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                               fmt::format("unknown delivery tag {}", tag));
  }
  if (tx_) return defer_settlements(how);
  // Requeued oldest last or first, the queue puts them back by position.
  settle(scratch_, how);
  return {};
}

Outcome Channel::handle(const amqp::BasicAck& method) {
  return settle_tag(method.delivery_tag, method.multiple, broker::Settlement::ack);
}

Outcome Channel::handle(const amqp::BasicReject& method) {
  return settle_tag(
      method.delivery_tag, false,
      method.requeue ? broker::Settlement::requeue_failed : broker::Settlement::reject);
}

Outcome Channel::handle(const amqp::BasicNack& method) {
  return settle_tag(method.delivery_tag, method.multiple,
                    method.requeue ? broker::Settlement::requeue : broker::Settlement::reject);
}

void Channel::recover() {
  scratch_.clear();
  unacked_.take_all(scratch_);
  settle(scratch_, broker::Settlement::requeue);
}

Outcome Channel::handle(const amqp::BasicRecover& method) {
  if (!method.requeue) {
    return amqp::connection_error(amqp::ReplyCode::not_implemented, "requeue=false");
  }
  recover();
  send(amqp::BasicRecoverOk{});
  return {};
}

Outcome Channel::handle(const amqp::BasicRecoverAsync& method) {
  if (!method.requeue) {
    return amqp::connection_error(amqp::ReplyCode::not_implemented, "requeue=false");
  }
  recover();
  return {};
}

}  // namespace warren::session
