// SPDX-License-Identifier: Apache-2.0
// What an actor does.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

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

void SimActor::note(Taken what, std::uint16_t channel, SimMessageId id,
                    std::vector<std::uint64_t> tags) {
  ops_.push_back({client_->written_bytes(), what, channel, id, std::move(tags)});
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

void SimActor::publish_one(std::uint16_t number, std::size_t body_size) {
  Channel& channel = channels_[number];
  PublishOptions options;
  std::vector<SimTarget> targets;
  if (stage_.chance(35)) {
    const auto binding = static_cast<int>(stage_.draw(stage_.shape.fan_outs.size()));
    options.exchange = "amq.direct";
    options.routing_key = binding_key(binding);
    for (const SimQueueIndex queue : stage_.shape.fan_outs[static_cast<std::size_t>(binding)]) {
      targets.push_back({queue, binding});
    }
  } else {
    targets.push_back({draw_queue(), -1});
    options.routing_key = stage_.ledger.queue(targets[0].queue).name;
  }
  options.persistent = stage_.chance(70);
  options.mandatory = stage_.chance(20);
  const SimMessageId id =
      stage_.ledger.published(channel.publisher, options.persistent, body_size, targets);
  options.message_id = std::to_string(id);
  options.body = sim_body(id, body_size);
  client_->publish(number, options);
  if (channel.confirms) channel.unconfirmed.emplace(channel.next_publish++, id);
  note(Taken::publish, number, id, {});
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
  note(requeue ? Taken::give_back : Taken::settle, number, 0, std::move(tags));
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
  if (deleting || known.unresolved) return;
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
  if (known.unresolved || known.binds > 0 || (!present && known.existence != Existence::deleting))
    return;
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

void SimActor::close_channel(std::uint16_t number) {
  channels_[number].state = Channel::State::closing;
  client_->send(number, ChannelClose{.reply_code = 200, .reply_text = "bye"});
  note(Taken::close_channel, number, 0, {});
}

void SimActor::close_connection() {
  closing_ = true;
  client_->send(0, ConnectionClose{.reply_code = 200, .reply_text = "bye"});
  note(Taken::close_connection, 0, 0, {});
}

}  // namespace warren::test
