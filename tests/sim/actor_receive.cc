// SPDX-License-Identifier: Apache-2.0
// What an actor hears, and what that means for the ledger.
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "server/amqp/properties.h"

#include "tests/sim/actor.h"

namespace warren::test {

using namespace amqp;  // NOLINT: methods by their AMQP names

void SimActor::note_taken() {
  while (!ops_.empty() && ops_.front().end <= client_->taken_bytes()) {
    const Op op = std::move(ops_.front());
    ops_.pop_front();
    on_taken(op, 0);
  }
}

void SimActor::on_taken(const Op& op, SimGroup transaction) {
  SimLedger& ledger = stage_.ledger;
  Channel& channel = channels_[op.channel];
  switch (op.what) {
    case Taken::publish:
      if (transaction == 0) ledger.routed(op.id);
      ledger.entered(op.id, transaction);
      break;
    case Taken::deferred_publish:
      ledger.routed(op.id);
      break;
    case Taken::settle:
    case Taken::reject:
    case Taken::give_back:
      for (const std::uint64_t tag : op.tags) {
        const Held held = channel.leaving.extract(tag).mapped();
        if (op.what == Taken::settle) ledger.settled(held.id, held.queue, transaction);
        if (op.what == Taken::reject) ledger.rejected(held.id, held.queue, transaction);
        if (op.what == Taken::give_back) ledger.given_back(held.id, held.queue);
      }
      break;
    case Taken::commit:
      for (const Op& part : op.parts) on_taken(part, op.transaction);
      break;
    case Taken::rollback:
      for (const Op& part : op.parts) {
        for (const std::uint64_t tag : part.tags) channel.held.insert(channel.leaving.extract(tag));
      }
      break;
    case Taken::close_channel:
      channel.close_taken = true;
      release(channel);
      break;
    case Taken::close_connection:
      for (Channel& each : channels_) {
        each.close_taken = true;
        release(each);
      }
      break;
  }
}

void SimActor::release(Channel& channel) {
  for (const auto* held : {&channel.held, &channel.leaving}) {
    for (const auto& [tag, one] : *held) stage_.ledger.given_back(one.id, one.queue);
  }
  for (const SimQueueIndex queue : channel.used) stage_.ledger.holder_vanished(queue);
  for (const auto& [tag, consumer] : channel.consumers) {
    if (consumer.no_ack) stage_.ledger.queue(consumer.queue).losing = true;
  }
  channel.held.clear();
  channel.leaving.clear();
}

void SimActor::abandon_wait(Channel& channel) {
  SimLedger& ledger = stage_.ledger;
  switch (std::exchange(channel.wait, Wait::none)) {
    case Wait::declare:
    case Wait::remove:
      ledger.change_abandoned(channel.queue);
      break;
    case Wait::bind:
      ledger.bind_abandoned(channel.queue);
      break;
    case Wait::purge:
      ledger.queue(channel.queue).losing = true;
      break;
    case Wait::get:
      if (channel.no_ack) ledger.queue(channel.queue).losing = true;
      break;
    case Wait::none:
    case Wait::consume:
    case Wait::cancel:
    case Wait::qos:
    case Wait::recover:
    case Wait::commit:
    case Wait::rollback:
      break;
  }
}

void SimActor::abandon() {
  for (Channel& channel : channels_) {
    release(channel);
    abandon_wait(channel);
  }
  client_ = nullptr;
}

void SimActor::vanish() {
  SimClient* const client = client_;
  abandon();
  stage_.broker.disconnect(*client);
}

void SimActor::note_lost_channels() {
  for (std::uint16_t number = 1; number <= kChannels; ++number) {
    if (!client_->has_received_close(number)) continue;
    channels_[number].lost = true;
    release(channels_[number]);
  }
}

void SimActor::note_received() {
  while (client_ != nullptr && client_->has_received() && stage_.ledger.ok()) {
    on_received(client_->take());
  }
  if (client_ != nullptr && client_->closed_by_server() && !client_->has_received() && !closing_) {
    stage_.ledger.fail("the broker closed a connection");
  }
}

void SimActor::on_received(const Received& received) {
  if (received.channel == 0) {
    if (std::holds_alternative<ConnectionCloseOk>(received.method)) return vanish();
    if (const auto* const close = std::get_if<ConnectionClose>(&received.method)) {
      stage_.ledger.fail(fmt::format("connection.close {}: {}", close->reply_code,
                                     std::string_view(close->reply_text)));
    }
    return;  // the handshake
  }
  Channel& channel = channels_[received.channel];
  if (const auto* const deliver = std::get_if<BasicDeliver>(&received.method)) {
    on_message(received.channel, received, std::string(deliver->consumer_tag.value),
               deliver->delivery_tag, deliver->redelivered);
  } else if (const auto* const ack = std::get_if<BasicAck>(&received.method)) {
    on_confirm(channel, ack->delivery_tag, ack->multiple, true);
  } else if (const auto* const nack = std::get_if<BasicNack>(&received.method)) {
    on_confirm(channel, nack->delivery_tag, nack->multiple, false);
  } else if (std::holds_alternative<BasicReturn>(received.method)) {
    on_return(received);
  } else if (const auto* const cancel = std::get_if<BasicCancel>(&received.method)) {
    channel.consumers.erase(std::string(cancel->consumer_tag.value));
  } else if (std::holds_alternative<ChannelClose>(received.method)) {
    on_channel_close(received.channel, received);
  } else if (std::holds_alternative<ChannelCloseOk>(received.method)) {
    channel = Channel();
  } else {
    on_answer(channel, received);
  }
}

bool SimActor::answers(Channel& channel, const Received& received) {
  switch (channel.wait) {
    case Wait::declare:
      return std::holds_alternative<QueueDeclareOk>(received.method);
    case Wait::bind:
      return std::holds_alternative<QueueBindOk>(received.method);
    case Wait::remove:
      return std::holds_alternative<QueueDeleteOk>(received.method);
    case Wait::purge:
      return std::holds_alternative<QueuePurgeOk>(received.method);
    case Wait::consume:
      return std::holds_alternative<BasicConsumeOk>(received.method);
    case Wait::cancel:
      return std::holds_alternative<BasicCancelOk>(received.method);
    case Wait::get:
      return std::holds_alternative<BasicGetOk>(received.method) ||
             std::holds_alternative<BasicGetEmpty>(received.method);
    case Wait::recover:
      return std::holds_alternative<BasicRecoverOk>(received.method);
    case Wait::commit:
      return std::holds_alternative<TxCommitOk>(received.method);
    case Wait::rollback:
      return std::holds_alternative<TxRollbackOk>(received.method);
    case Wait::qos:
    case Wait::none:
      return false;
  }
  return false;
}

void SimActor::on_answer(Channel& channel, const Received& received) {
  if (std::holds_alternative<ChannelOpenOk>(received.method) ||
      std::holds_alternative<ConfirmSelectOk>(received.method) ||
      std::holds_alternative<TxSelectOk>(received.method) ||
      std::holds_alternative<BasicQosOk>(received.method)) {
    return;
  }
  if (!answers(channel, received)) {
    return stage_.ledger.fail(fmt::format("unexpected {}", SimClient::describe(received)));
  }
  SimLedger& ledger = stage_.ledger;
  switch (std::exchange(channel.wait, Wait::none)) {
    case Wait::declare:
      ledger.declare_done(channel.queue);
      break;
    case Wait::bind:
      ledger.bind_done(channel.queue, channel.binding);
      break;
    case Wait::remove:
      ledger.delete_done(channel.queue);
      break;
    case Wait::purge:
      ledger.purge_done(channel.queue, channel.purge);
      break;
    case Wait::cancel:
      channel.consumers.erase(channel.tag);
      break;
    case Wait::get:
      if (const auto* const ok = std::get_if<BasicGetOk>(&received.method)) {
        on_message(received.channel, received, {}, ok->delivery_tag, ok->redelivered);
      }
      break;
    case Wait::recover:
      // What was delivered before recover-ok goes back.
      for (const auto& [tag, one] : channel.held) ledger.given_back(one.id, one.queue);
      channel.held.clear();
      break;
    case Wait::commit:
      ledger.committed(channel.transaction);
      break;
    case Wait::consume:
    case Wait::qos:
    case Wait::rollback:
    case Wait::none:
      break;
  }
}

SimMessageId SimActor::message_of(const Received& received) {
  PropertiesView properties;
  SimMessageId id = 0;
  if (parse_properties(received.properties, properties) && properties.message_id) {
    const std::string_view text = *properties.message_id;
    std::from_chars(text.data(), text.data() + text.size(), id);
  }
  if (!stage_.ledger.known(id)) {
    stage_.ledger.fail(
        fmt::format("a message that nobody sent: {}", SimClient::describe(received)));
    return 0;
  }
  if (received.body != sim_body(id, stage_.ledger.body_size(id))) {
    stage_.ledger.fail(fmt::format("message {} came with {} other bytes (R5), expected {}", id,
                                   received.body.size(), stage_.ledger.body_size(id)));
  }
  return id;
}

void SimActor::on_message(std::uint16_t number, const Received& received,
                          const std::string& consumer, std::uint64_t tag, bool redelivered) {
  Channel& channel = channels_[number];
  SimLedger& ledger = stage_.ledger;
  SimQueueIndex queue = channel.queue;
  bool no_ack = channel.no_ack;
  if (!consumer.empty()) {
    const auto at = channel.consumers.find(consumer);
    if (at == channel.consumers.end()) {
      return ledger.fail(fmt::format("delivery to consumer '{}', which is not there", consumer));
    }
    queue = at->second.queue;
    no_ack = at->second.no_ack;
  }
  const SimMessageId id = message_of(received);
  if (id == 0) return;
  if (channel.lost && !no_ack) return ledger.glimpsed(id, queue);
  ledger.delivered(id, queue, no_ack ? 0 : number_, redelivered);
  if (!redelivered && ledger.ordered(id, queue)) check_order(id, queue);
  if (no_ack) return;
  if (channel.close_taken) {
    // It was on the way when the channel went.
    ledger.given_back(id, queue);
    return;
  }
  if (!channel.held.emplace(tag, Held{id, queue, consumer}).second) {
    ledger.fail(fmt::format("delivery tag {} came twice (P4)", tag));
  }
}

// R15: what one client gets from one queue for the first time is in each publisher's order, by
// priority.
void SimActor::check_order(SimMessageId id, SimQueueIndex queue) {
  const SimLedger& ledger = stage_.ledger;
  SimMessageId& last = last_first_[{queue, ledger.publisher(id), ledger.lane(id, queue)}];
  if (id <= last) {
    stage_.ledger.fail(fmt::format("message {} was delivered after {} from '{}' (R15)", id, last,
                                   stage_.ledger.queue(queue).name));
  }
  last = id;
}

void SimActor::on_confirm(Channel& channel, std::uint64_t tag, bool multiple, bool acked) {
  bool any = false;
  auto at = multiple ? channel.unconfirmed.begin() : channel.unconfirmed.find(tag);
  while (at != channel.unconfirmed.end() && at->first <= tag) {
    acked ? stage_.ledger.confirmed(at->second) : stage_.ledger.refused(at->second);
    at = channel.unconfirmed.erase(at);
    any = true;
  }
  if (!any) {
    stage_.ledger.fail(
        fmt::format("confirm {} (multiple={}) answers nothing (R16)", tag, multiple));
  }
}

void SimActor::on_return(const Received& received) {
  const SimMessageId id = message_of(received);
  if (id != 0) stage_.ledger.returned(id);
}

void SimActor::on_channel_close(std::uint16_t number, const Received& received) {
  Channel& channel = channels_[number];
  SimLedger& ledger = stage_.ledger;
  const auto& close = std::get<ChannelClose>(received.method);
  const SimLedger::Queue& queue = ledger.queue(channel.queue);
  const bool is_there = channel.certain && queue.existence == Existence::present &&
                        queue.generation == channel.generation;
  const bool expected = close.reply_code == 404 && !is_there &&
                        (channel.wait == Wait::bind || channel.wait == Wait::consume ||
                         channel.wait == Wait::get || channel.wait == Wait::purge);
  if (!expected) {
    return ledger.fail(
        fmt::format("channel.close {}: {}", close.reply_code, std::string_view(close.reply_text)));
  }
  if (channel.wait == Wait::bind) ledger.bind_refused(channel.queue, channel.binding);
  release(channel);
  channel = Channel();
  client_->send(number, ChannelCloseOk{});
}

// ---- at rest ----

std::string SimActor::unfinished() const {
  if (client_->unsent_bytes() > 0) return "bytes that the session does not take";
  for (std::uint16_t number = 1; number <= kChannels; ++number) {
    const Channel& channel = channels_[number];
    if (channel.wait != Wait::none) {
      return fmt::format("no answer on channel {} (waiting for {})", number,
                         static_cast<int>(channel.wait));
    }
    if (channel.state == Channel::State::closing) return "no channel.close-ok";
    if (!channel.unconfirmed.empty()) {
      return fmt::format("{} publishes without a confirm on channel {}, the first is {}",
                         channel.unconfirmed.size(), number, channel.unconfirmed.begin()->first);
    }
  }
  return {};
}

unsigned SimActor::consumers_of(SimQueueIndex queue) const {
  unsigned count = 0;
  for (const Channel& channel : channels_) {
    for (const auto& [tag, consumer] : channel.consumers) count += consumer.queue == queue ? 1 : 0;
  }
  return count;
}

bool SimActor::could_take_from(SimQueueIndex queue) const {
  for (const Channel& channel : channels_) {
    std::map<std::string, unsigned> held;
    unsigned shared = 0;
    for (const auto* some : {&channel.held, &channel.leaving}) {
      for (const auto& [tag, one] : *some) {
        if (one.consumer.empty()) continue;
        ++held[one.consumer];
        ++shared;
      }
    }
    if (channel.shared_limit != 0 && shared >= channel.shared_limit) continue;
    for (const auto& [tag, consumer] : channel.consumers) {
      if (consumer.queue != queue) continue;
      if (consumer.no_ack || consumer.prefetch == 0 || held[tag] < consumer.prefetch) return true;
    }
  }
  return false;
}

void SimActor::note_consumed_queues() {
  for (const Channel& channel : channels_) {
    for (const auto& [tag, consumer] : channel.consumers) {
      stage_.ledger.queue(consumer.queue).consumed = true;
    }
  }
}

}  // namespace warren::test
