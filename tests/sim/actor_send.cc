// SPDX-License-Identifier: Apache-2.0
// What an actor does.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"

#include "tests/sim/actor.h"

namespace warren::test {

using namespace amqp;  // NOLINT: methods by their AMQP names

std::string sim_body(SimMessageId id, std::size_t size) {
  std::string body(size, '\0');
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (id * 7 + i) % 26);
  return body;
}

std::string binding_key(int binding) {
  return fmt::format("all.{}", binding);
}

SimActor::SimActor(SimStage& stage, std::uint32_t number, ShardIndex shard)
    : stage_(stage), number_(number), client_(&stage.broker.connect_raw(shard)) {
  client_->send_handshake();
}

// In a transaction publishes and settlements wait for its end.
void SimActor::note(Op op) {
  op.end = client_->written_bytes();
  Channel& channel = channels_[op.channel];
  const bool publish = op.what == Taken::publish;
  const bool settlement =
      op.what == Taken::settle || op.what == Taken::reject || op.what == Taken::give_back;
  if (channel.transacts && (publish || settlement)) {
    channel.deferred.push_back(op);
    if (settlement) return;
    op.what = Taken::deferred_publish;
  }
  ops_.push_back(std::move(op));
}

void SimActor::wait_for(Channel& channel, Wait what, SimQueueIndex queue) {
  channel.wait = what;
  channel.queue = queue;
  const SimLedger::Queue& known = stage_.ledger.queue(queue);
  channel.generation = known.generation;
  channel.certain = known.existence == Existence::present;
}

SimQueueIndex SimActor::draw_queue() {
  return static_cast<SimQueueIndex>(stage_.draw(stage_.ledger.queue_count()));
}

void SimActor::act() {
  if (closing_ || !client_->reading()) {
    if (!client_->reading() && stage_.chance(20)) client_->resume_reading();
    return;
  }
  const std::uint64_t roll = stage_.draw(1000);
  if (roll < 2) return vanish();
  if (roll < 4) return close_connection();
  if (roll < 8) {
    // Only with nothing under way: what others do must not overtake what this one has not read.
    bool busy = !ops_.empty();
    for (const Channel& channel : channels_) {
      busy |= channel.wait != Wait::none || channel.state == Channel::State::closing;
    }
    if (!busy) client_->stop_reading();
    return;
  }
  const auto number = static_cast<std::uint16_t>(1 + stage_.draw(kChannels));
  Channel& channel = channels_[number];
  if (channel.state == Channel::State::closing || channel.wait != Wait::none) return;
  if (channel.state == Channel::State::closed) return open_channel(number);
  act_on(number);
}

void SimActor::act_on(std::uint16_t number) {
  if (channels_[number].transacts && stage_.chance(12)) return end_transaction(number);
  const std::uint64_t roll = stage_.draw(1000);
  if (roll < 380) return publish(number);
  if (roll < 640) return settle(number);
  if (roll < 720) return consume(number);
  if (roll < 750) return cancel(number);
  if (roll < 830) return get(number);
  if (roll < 860) return set_qos(number);
  if (roll < 870) return recover(number);
  if (roll < 920) return declare(number);
  if (roll < 965) return bind(number);
  if (roll < 973) return remove(number);
  if (roll < 988) return purge(number);
  return close_channel(number);
}

void SimActor::open_channel(std::uint16_t number) {
  Channel& channel = channels_[number];
  channel = Channel();
  channel.state = Channel::State::open;
  channel.publisher = stage_.next_publisher++;
  client_->send(number, ChannelOpen{});
  if (stage_.chance(75)) {
    client_->send(number, ConfirmSelect{.nowait = stage_.chance(50)});
    channel.confirms = true;
  } else if (!stage_.shape.staying.empty() && stage_.chance(60)) {
    client_->send(number, TxSelect{});
    channel.transacts = true;
  }
}

bool SimActor::ledger_full() const {
  constexpr std::size_t kCopiesMax = 600;
  std::size_t copies = 0;
  for (SimQueueIndex i = 0; i < stage_.ledger.queue_count(); ++i) {
    copies += stage_.ledger.queue(i).copies.size();
  }
  return copies > kCopiesMax;
}

std::size_t SimActor::draw_body_size() {
  const std::uint64_t roll = stage_.draw(100);
  if (roll < 60) return stage_.draw(200);
  if (roll < 85) return stage_.draw(4000);
  if (roll < 98 || !stage_.shape.large_bodies) return stage_.draw(20'000);
  return stage_.draw(300'000);
}

void SimActor::publish(std::uint16_t number) {
  if (ledger_full()) return;
  if (stage_.shape.floods && stage_.draw(150) == 0) {
    for (std::uint64_t n = stage_.draw(4000); n > 0; --n) publish_one(number, 0);
    return;
  }
  for (std::uint64_t n = 1 + stage_.draw(6); n > 0; --n) publish_one(number, draw_body_size());
}

// Where to: a fan-out, the default exchange, with a CC, or an exchange that stays.
void SimActor::draw_route(SimPublish& publish, PublishOptions& options) {
  const SimShape& shape = stage_.shape;
  const std::uint64_t roll = stage_.draw(100);
  if (roll < 35) {
    const auto binding = static_cast<int>(stage_.draw(shape.fan_outs.size()));
    options.exchange = "amq.direct";
    options.routing_key = binding_key(binding);
    for (const SimQueueIndex queue : shape.fan_outs[static_cast<std::size_t>(binding)]) {
      publish.targets.push_back({queue, binding});
    }
    return;
  }
  FieldTable headers;
  if (roll < 50 && !shape.staying.empty()) {
    publish.targets.push_back({shape.side(), -1});
    if (roll < 43) {
      options.exchange = kSimDelayed;
      publish.delay_ms = static_cast<std::int64_t>(1 + stage_.draw(150));
      headers.set("x-delay", publish.delay_ms);
    } else {
      options.exchange = kSimAlternate;
      const bool known = stage_.chance(50);
      options.routing_key = known ? "a" : "elsewhere";
      if (known) publish.targets[0].queue = shape.first_staying();
    }
  } else {
    publish.targets.push_back({draw_queue(), -1});
    options.routing_key = stage_.ledger.queue(publish.targets[0].queue).name;
    const auto other = static_cast<SimQueueIndex>(stage_.draw(shape.durable_queues));
    if (stage_.chance(10) && other != publish.targets[0].queue) {
      publish.targets.push_back({other, -1});
      headers.set("CC", FieldArray{FieldValue(stage_.ledger.queue(other).name)});
    }
  }
  if (headers.size() > 0) encode_table(options.headers, headers);
}

void SimActor::publish_one(std::uint16_t number, std::size_t body_size) {
  Channel& channel = channels_[number];
  PublishOptions options;
  SimPublish publish;
  draw_route(publish, options);
  publish.publisher = channel.publisher;
  publish.persistent = options.persistent = stage_.chance(70);
  publish.body_size = body_size;
  options.mandatory = publish.delay_ms == 0 && stage_.chance(20);
  if (!stage_.shape.staying.empty()) {
    publish.priority = static_cast<unsigned>(stage_.draw(6));
    options.priority = static_cast<int>(publish.priority);
    if (publish.delay_ms == 0 && stage_.chance(8)) {
      publish.expiration_ms = static_cast<std::int64_t>(stage_.draw(300));
      options.expiration = std::to_string(publish.expiration_ms);
    }
  }
  const SimMessageId id = stage_.ledger.published(publish);
  options.message_id = std::to_string(id);
  options.body = sim_body(id, body_size);
  client_->publish(number, options);
  if (channel.confirms) channel.unconfirmed.emplace(channel.next_publish++, id);
  note({.what = Taken::publish, .channel = number, .id = id});
}

void SimActor::settle(std::uint16_t number) {
  Channel& channel = channels_[number];
  if (channel.held.empty()) return;
  auto at = channel.held.begin();
  if (stage_.chance(40)) {
    std::advance(at, static_cast<std::ptrdiff_t>(stage_.draw(channel.held.size())));
  }
  const std::uint64_t tag = at->first;
  const bool multiple = stage_.chance(25);
  std::vector<std::uint64_t> tags;
  for (auto it = multiple ? channel.held.begin() : at; it != channel.held.end();) {
    if (it->first > tag) break;
    tags.push_back(it->first);
    channel.leaving.insert(*it);
    it = channel.held.erase(it);
  }
  const std::uint64_t roll = stage_.draw(100);
  const bool requeue = roll >= 70 && stage_.chance(70);
  if (roll < 70) {
    client_->send(number, BasicAck{.delivery_tag = tag, .multiple = multiple});
  } else if (!multiple && stage_.chance(50)) {
    client_->send(number, BasicReject{.delivery_tag = tag, .requeue = requeue});
  } else {
    client_->send(number, BasicNack{.delivery_tag = tag, .multiple = multiple, .requeue = requeue});
  }
  const Taken what = requeue ? Taken::give_back : roll < 70 ? Taken::settle : Taken::reject;
  note({.what = what, .channel = number, .tags = std::move(tags)});
}

void SimActor::consume(std::uint16_t number) {
  Channel& channel = channels_[number];
  if (channel.consumers.size() >= 3) return;
  const SimQueueIndex queue = draw_queue();
  if (stage_.ledger.queue(queue).existence == Existence::absent && stage_.chance(90)) return;
  wait_for(channel, Wait::consume, queue);
  channel.no_ack = stage_.shape.no_ack_queues.contains(queue) && stage_.chance(50);
  channel.tag = fmt::format("c{}", next_tag_++);
  channel.used.insert(queue);
  stage_.ledger.queue(queue).consumed = true;
  // Deliveries may come before or after consume-ok.
  channel.consumers[channel.tag] = {queue, channel.no_ack, channel.prefetch};
  BasicConsume method;
  method.queue = stage_.ledger.queue(queue).name;
  method.consumer_tag = channel.tag;
  method.no_ack = channel.no_ack;
  client_->send(number, method);
}

void SimActor::cancel(std::uint16_t number) {
  Channel& channel = channels_[number];
  if (channel.consumers.empty()) return;
  auto at = channel.consumers.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(stage_.draw(channel.consumers.size())));
  wait_for(channel, Wait::cancel, at->second.queue);
  channel.tag = at->first;
  client_->send(number, BasicCancel{.consumer_tag = channel.tag});
}

void SimActor::get(std::uint16_t number) {
  Channel& channel = channels_[number];
  const SimQueueIndex queue = draw_queue();
  if (stage_.ledger.queue(queue).existence == Existence::absent && stage_.chance(90)) return;
  wait_for(channel, Wait::get, queue);
  channel.no_ack = stage_.shape.no_ack_queues.contains(queue) && stage_.chance(50);
  channel.used.insert(queue);
  stage_.ledger.queue(queue).consumed = true;
  BasicGet method;
  method.queue = stage_.ledger.queue(queue).name;
  method.no_ack = channel.no_ack;
  client_->send(number, method);
}

void SimActor::set_qos(std::uint16_t number) {
  Channel& channel = channels_[number];
  // Now and then several at once: the last one counts.
  for (std::uint64_t n = stage_.chance(30) ? 3 : 1; n > 0; --n) {
    const bool global = stage_.chance(50);
    const auto limit = static_cast<std::uint16_t>(stage_.chance(35) ? 0 : 1 + stage_.draw(8));
    client_->send(number, BasicQos{.prefetch_count = limit, .global = global});
    (global ? channel.shared_limit : channel.prefetch) = limit;
  }
}

void SimActor::recover(std::uint16_t number) {
  Channel& channel = channels_[number];
  wait_for(channel, Wait::recover, 0);
  client_->send(number, BasicRecover{.requeue = true});
}

void SimActor::declare(std::uint16_t number) {
  const SimQueueIndex queue = draw_queue();
  SimLedger::Queue& known = stage_.ledger.queue(queue);
  const bool deleting = known.existence == Existence::deleting ||
                        (known.existence == Existence::absent && known.changes > 0);
  if (deleting || known.unresolved || known.features.permanent) return;
  if (known.existence == Existence::present && stage_.chance(70)) return;
  stage_.ledger.declare_sent(queue);
  wait_for(channels_[number], Wait::declare, queue);
  QueueDeclare method;
  method.queue = known.name;
  method.durable = known.durable;
  client_->send(number, method);
}

void SimActor::bind(std::uint16_t number) {
  const auto binding = static_cast<int>(stage_.draw(stage_.shape.fan_outs.size()));
  const auto& queues = stage_.shape.fan_outs[static_cast<std::size_t>(binding)];
  const SimQueueIndex queue = queues[stage_.draw(queues.size())];
  SimLedger::Queue& known = stage_.ledger.queue(queue);
  if (known.existence != Existence::present) return;
  if (known.bindings[binding] != Existence::absent && stage_.chance(90)) return;
  stage_.ledger.bind_sent(queue, binding);
  wait_for(channels_[number], Wait::bind, queue);
  channels_[number].binding = binding;
  QueueBind method;
  const std::string key = binding_key(binding);
  method.queue = known.name;
  method.exchange = "amq.direct";
  method.routing_key = key;
  client_->send(number, method);
}

void SimActor::remove(std::uint16_t number) {
  const SimQueueIndex queue = draw_queue();
  SimLedger::Queue& known = stage_.ledger.queue(queue);
  const bool present = known.existence == Existence::present && known.changes == 0;
  const bool deletable = present || known.existence == Existence::deleting;
  if (known.unresolved || known.binds > 0 || !deletable || known.features.permanent) return;
  stage_.ledger.delete_sent(queue);
  wait_for(channels_[number], Wait::remove, queue);
  client_->send(number, QueueDelete{.queue = known.name});
}

void SimActor::purge(std::uint16_t number) {
  const SimQueueIndex queue = draw_queue();
  Channel& channel = channels_[number];
  if (stage_.ledger.queue(queue).existence != Existence::present) return;
  wait_for(channel, Wait::purge, queue);
  channel.purge = stage_.ledger.purge_sent(queue);
  client_->send(number, QueuePurge{.queue = stage_.ledger.queue(queue).name});
}

void SimActor::end_transaction(std::uint16_t number) {
  Channel& channel = channels_[number];
  const bool commit = stage_.chance(75);
  wait_for(channel, commit ? Wait::commit : Wait::rollback, 0);
  channel.transaction = stage_.next_transaction++;
  Op op{.what = commit ? Taken::commit : Taken::rollback, .channel = number};
  op.transaction = channel.transaction;
  op.parts.swap(channel.deferred);
  if (commit) {
    client_->send(number, TxCommit{});
  } else {
    client_->send(number, TxRollback{});
  }
  note(std::move(op));
}

void SimActor::close_channel(std::uint16_t number) {
  channels_[number].state = Channel::State::closing;
  client_->send(number, ChannelClose{.reply_code = 200, .reply_text = "bye"});
  note({.what = Taken::close_channel, .channel = number});
}

void SimActor::close_connection() {
  closing_ = true;
  client_->send(0, ConnectionClose{.reply_code = 200, .reply_text = "bye"});
  note({.what = Taken::close_connection});
}

}  // namespace warren::test
