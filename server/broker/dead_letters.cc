// SPDX-License-Identifier: Apache-2.0
// Messages that leave one queue for others by themselves: dead letters, and what a delayed-message
// exchange kept. A message leaves its queue and enters the next ones in one commit (B10).
#include <algorithm>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/amqp/properties.h"
#include "server/broker/broker_shard.h"
#include "server/broker/dead_letter.h"

namespace warren::broker {

void BrokerShard::dead_letter(Queue& queue, Leaving leaving) {
  // From its own marker on what a shard does belongs to the next epoch, all of it together.
  if (barrier_.ended(parts_.self) || !dead_letters_.empty()) {
    dead_letters_.push_back({queue.id(), std::move(leaving)});
    return;
  }
  bury(queue, leaving);
}

// What was put off belongs to the next epoch, and must not be gathered before the last one is
// handed over: not in the round in which that one ends.
void BrokerShard::bury_deferred() {
  if (barrier_.ended(parts_.self)) return;
  std::deque<DeadLetterTask> batch;
  batch.swap(dead_letters_);
  for (DeadLetterTask& task : batch) {
    if (Queue* const queue = find_queue(task.queue)) {
      bury(*queue, task.leaving);
    } else if (task.leaving.message.kept == Kept::memory && !task.leaving.never_was_here) {
      add_transient_bytes(-static_cast<std::int64_t>(task.leaving.message.block->size()));
    }
  }
}

void BrokerShard::bury(Queue& queue, const Leaving& leaving) {
  WARREN_INVARIANT(B10, !barrier_.ended(parts_.self));
  std::vector<QueueHandle*> targets;
  const BlockRef block = route_dead_letter(queue, leaving, targets);
  const bool source_durable = leaving.message.kept == Kept::durable;
  if (!targets.empty()) spread(targets, block, source_durable);
  queue.let_go(leaving);
}

// The message as it goes on, and where to; nowhere: no such exchange, or nothing bound to it.
BlockRef BrokerShard::route_dead_letter(const Queue& queue, const Leaving& leaving,
                                        std::vector<QueueHandle*>& targets) {
  const QueueSettings& settings = queue.settings();
  const storage::QueueDefinition& definition = queue.definition();
  const Vhost* const vhost = topology_.find_vhost(definition.vhost);
  const bool delayed = !settings.delayed_exchange.empty();
  // A policy may have been taken back since the message left.
  if (!delayed && !settings.dead_letter_exchange) return nullptr;
  const std::string& name = delayed ? settings.delayed_exchange : *settings.dead_letter_exchange;
  Exchange* const exchange = vhost->find_exchange(name);
  if (exchange == nullptr) return nullptr;
  DeadLetter letter;
  if (delayed) {
    letter.block = make_released(*leaving.message.block);
  } else {
    letter = make_dead_letter(
        *leaving.message.block,
        Death{definition.name, leaving.reason, now_ms_, name, settings.dead_letter_routing_key});
  }
  amqp::PropertiesView properties;
  const MessageView message(*letter.block);
  const bool parsed = amqp::parse_properties(message.properties(), properties);
  RouteInput input;
  input.routing_key = message.routing_key();
  if (parsed && properties.headers) input.headers = properties.headers->value;
  input.extra_keys = letter.extra_keys;
  if (parsed) input.properties = &properties;
  for (QueueHandle* const target : router_.route(*vhost, *exchange, input)) {
    const bool closed = std::find(letter.closed.begin(), letter.closed.end(),
                                  target->definition->name) != letter.closed.end();
    if (!closed) targets.push_back(target);
  }
  return letter.block;
}

// Like a publish, but it takes place here and now: the source is part of the commit.
void BrokerShard::spread(const std::vector<QueueHandle*>& targets, const BlockRef& block,
                         bool source_durable) {
  const bool persistent = MessageView(*block).persistent();
  std::uint64_t homes = source_durable ? std::uint64_t{1} << parts_.self : 0;
  unsigned kept_count = 0;
  for (const QueueHandle* target : targets) {
    if (!persistent || !target->stored) continue;
    homes |= std::uint64_t{1} << target->home;
    ++kept_count;
  }
  const BodyId body = share(*block, kept_count);
  const bool several_shards = (homes & (homes - 1)) != 0;
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    PublishMessage message;
    for (const QueueHandle* target : targets) {
      if (target->home == shard) message.targets.push_back({target->id, false});
    }
    if (shard == parts_.self || message.targets.empty()) continue;
    message.block = block;
    message.body = body;
    message.several_shards = several_shards && (homes >> shard & 1) != 0;
    parts_.gauges->add_inbound(shard, message.backlog_bytes());
    post(shard, std::move(message));
  }
  for (const QueueHandle* target : targets) {
    if (target->home != parts_.self) continue;
    Queue* const queue = find_queue(target->id);
    WARREN_ASSERT(queue != nullptr);
    queue->enqueue(block, persistent, nullptr, body);
  }
  if (several_shards && (homes >> parts_.self & 1) != 0) hold_part();
}

}  // namespace warren::broker
