// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/broker/message.h"
#include "server/broker/queue/queue.h"

namespace warren::broker {

std::optional<amqp::AmqpError> Queue::refuse_consume(const ConsumeRequest& request) const {
  bool taken = request.exclusive && consumer_count() > 0;
  for (const auto& consumer : consumers_) {
    if (consumer->exclusive && !consumer->cancelled) taken = true;
  }
  if (!taken) return std::nullopt;
  return amqp::channel_error(amqp::ReplyCode::access_refused,
                             fmt::format("queue '{}' in vhost '{}' in exclusive use",
                                         definition_.name, definition_.vhost));
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
  ring_.put(*consumer);
  by_number_.emplace(std::pair(request.channel.connection.value, request.consumer), consumer.get());
  consumers_.push_back(std::move(consumer));
  had_consumer_ = true;
  reply.consumer_count = consumer_count();
  host_.reply(std::move(reply));
  host_.schedule(*this);
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
  collect_consumers();
  check_unused(std::move(reply));
}

void Queue::get(const GetRequest& request) {
  gets_.push_back(request);
  host_.schedule(*this);
}

void Queue::grant(const Grant& grant) {
  Consumer* const consumer = find_consumer(grant.channel, grant.consumer);
  // Cancelled meanwhile, or of a limit that is no more: the session took its room back.
  if (consumer == nullptr || grant.limit_epoch != consumer->limit_epoch) return;
  consumer->asked = false;
  consumer->granted += grant.count;
  grants_out_ += grant.count;
  ring_.put(*consumer);
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
  ring_.put(*consumer);
  host_.schedule(*this);
}

void Queue::return_credit(const CreditReturn& credit) {
  Consumer* const consumer = find_consumer(credit.channel, credit.consumer);
  if (consumer == nullptr) return;
  WARREN_ASSERT(consumer->in_flight_bytes >= credit.bytes);
  consumer->in_flight_bytes -= credit.bytes;
  ring_.put(*consumer);
  if (ready_.count() > 0) host_.schedule(*this);
}

void Queue::on_mark_raised() {
  host_.schedule(*this);
}

// Is the next message here, and may it leave? (R13: a durable message is delivered only when the
// store knows that it may have been, so that it comes back flagged after a crash.)
bool Queue::front_deliverable() {
  ReadyMessage* const message = ready_.front();
  if (message == nullptr) return false;
  if (message->kept != Kept::durable || message->redelivered) return true;
  return log().may_deliver(message->seq);
}

void Queue::dispatch() {
  serve_gets();
  if (gets_.empty()) {
    while (!ring_.empty() && front_deliverable()) {
      Consumer* const consumer = ring_.take();
      if (consumer == nullptr) break;
      if (!admitted(*consumer)) continue;
      deliver_front(*consumer);
      ring_.put(*consumer);
    }
  }
  if (grants_out_ > 0) return_unused_grants();
  if (ready_.wants_read()) read_ahead();
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
    ring_.put(*consumer);
  }
}

void Queue::serve_gets() {
  while (!gets_.empty()) {
    if (ready_.count() > 0 && !front_deliverable()) return;  // it is being read, or marked
    const GetRequest request = gets_.front();
    gets_.pop_front();
    answer_get(request);
  }
}

void Queue::answer_get(const GetRequest& request) {
  Reply reply;
  reply.to = request.reply_to;
  if (ready_.count() > 0) {
    ReadyMessage message = ready_.take_front();
    reply.queue = definition_.log;
    reply.seq = message.seq;
    reply.redelivered = message.redelivered;
    reply.block = message.block;
    if (request.no_ack) {
      forget(message);
    } else {
      Consumer& holder = getter(request.channel);
      ++holder.unacked;
      const Seq seq = message.seq;
      const bool added =
          unacked_.emplace(seq, Unacked{std::move(message.block), &holder, message.kept}).second;
      WARREN_INVARIANT(B2, added);
    }
  }
  reply.message_count = clamped_ready_count();
  host_.reply(std::move(reply));
}

void Queue::deliver_front(Consumer& consumer) {
  WARREN_INVARIANT(B3, consumer.has_room());
  ReadyMessage message = ready_.take_front();
  const bool granted = consumer.granted > 0;
  if (granted) {
    --consumer.granted;
    --grants_out_;
  }
  consumer.in_flight_bytes += message.block->size();
  Delivery delivery;
  delivery.connection = consumer.channel.connection;
  delivery.consumer = consumer.number;
  delivery.queue = definition_.log;
  delivery.seq = message.seq;
  delivery.redelivered = message.redelivered;
  delivery.granted = granted;
  delivery.limit_epoch = consumer.limit_epoch;
  if (consumer.no_ack) {
    forget(message);
    delivery.block = std::move(message.block);
  } else {
    delivery.block = message.block;
    ++consumer.unacked;
    const Seq seq = message.seq;
    const bool added =
        unacked_.emplace(seq, Unacked{std::move(message.block), &consumer, message.kept}).second;
    WARREN_INVARIANT(B2, added);
  }
  host_.deliver(consumer, std::move(delivery));
}

void Queue::read_ahead() {
  if (reading_) return;
  reading_ = true;
  log().read(ready_.gap_begin(), ready_.gap_end(), ready_.read_bytes(),
             [this](Result<storage::ReadResult> result) { on_read(std::move(result)); });
}

void Queue::on_read(Result<storage::ReadResult> result) {
  reading_ = false;
  if (!result.ok()) {
    // The disk did not answer: this queue stands still, the others go on.
    WLOG(error, "queue cannot be read vhost='{}' queue='{}' error='{}'",
         printable(definition_.vhost), printable(definition_.name), result.error().text);
    fail_waiting(result.error().text);
    host_.retry_later(*this);
    return;
  }
  std::vector<ReadyMessage> messages;
  messages.reserve(result->messages.size());
  for (storage::StoredMessage& stored : result->messages) {
    const bool durable = stored.durability == storage::Durability::durable;
    const Kept kept = durable ? Kept::durable : Kept::paged;
    if (!valid_message(*stored.block)) {
      WLOG(error, "message does not parse and is passed over vhost='{}' queue='{}' seq={}",
           definition_.vhost, definition_.name, stored.seq);
      forget(stored.seq, *stored.block, kept);
      continue;
    }
    messages.push_back(
        {stored.seq, std::move(stored.block), kept, durable && stored.seq <= recovered_mark_});
  }
  const std::uint64_t missing = ready_.on_read(std::move(messages), result->next);
  if (missing > 0) {
    WLOG(error, "messages could not be read and are passed over vhost='{}' queue='{}' count={}",
         definition_.vhost, definition_.name, missing);
  }
  std::vector<PurgeRequest> purges;
  purges.swap(purges_);
  for (const PurgeRequest& request : purges) do_purge(request);
  host_.schedule(*this);
}

// Whoever waits for an answer gets one; consumers wait for the next read.
void Queue::fail_waiting(const std::string& why) {
  const auto fail = [&](const ReplyTo& to) {
    Reply reply;
    reply.to = to;
    reply.error = amqp::connection_error(amqp::ReplyCode::internal_error,
                                         fmt::format("queue '{}' in vhost '{}' cannot be read: {}",
                                                     definition_.name, definition_.vhost, why));
    host_.reply(std::move(reply));
  };
  for (const GetRequest& request : gets_) fail(request.reply_to);
  for (const PurgeRequest& request : purges_) fail(request.reply_to);
  gets_.clear();
  purges_.clear();
}

}  // namespace warren::broker
