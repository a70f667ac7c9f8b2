// SPDX-License-Identifier: Apache-2.0
// A publish on its way to the shards of its queues.
#include "storage/base/assert.h"

#include "server/broker/broker_shard.h"

namespace warren::broker {
namespace {

// Does this queue answer for a publish?
bool answers(const QueueHandle& queue, bool persistent) {
  return (persistent && queue.stored) || queue.settings->may_refuse();
}

}  // namespace

Published BrokerShard::publish(const std::vector<QueueHandle*>& queues, const BlockRef& block,
                               bool persistent, const storage::CommitToken* confirm) {
  if (queues.size() == 1) return publish_to_one(*queues.front(), block, persistent, confirm);
  Published published;
  published.queues = static_cast<unsigned>(queues.size());
  // Durable parts on several shards are one commit (S4).
  std::uint64_t homes = 0;  // a bit per shard that keeps it durably
  unsigned kept_count = 0;
  static_assert(sizeof(homes) * 8 >= 64);
  for (const QueueHandle* queue : queues) {
    const bool kept = persistent && queue->stored;
    if (kept) homes |= std::uint64_t{1} << queue->home;
    if (kept) ++kept_count;
    if (confirm != nullptr && answers(*queue, persistent)) ++published.pending_confirms;
  }
  const bool several_shards = (homes & (homes - 1)) != 0;
  const BodyId body = share(*block, kept_count);
  if (!body) copied_bytes_ += block->size() * kept_count;
  bool here = false;
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    PublishMessage message;
    for (const QueueHandle* handle : queues) {
      if (handle->home != shard) continue;
      message.targets.push_back({handle->id, answers(*handle, persistent)});
    }
    if (message.targets.empty()) continue;
    if (shard == parts_.self && !own_publishes_wait()) {
      here = true;
      continue;
    }
    message.block = block;
    message.body = body;
    if (confirm != nullptr) message.confirm = *confirm;
    message.several_shards = several_shards && (homes >> shard & 1) != 0;
    parts_.gauges->add_inbound(shard, message.backlog_bytes());
    if (shard == parts_.self) ++own_publishes_queued_;
    send(shard, std::move(message));
  }
  if (here) publish_here(queues, block, body, persistent, confirm, several_shards);
  tell_uncommitted();  // a turn's input may hold many such publishes
  return published;
}

// As publish(): nearly all messages go to one queue.
Published BrokerShard::publish_to_one(const QueueHandle& handle, const BlockRef& block,
                                      bool persistent, const storage::CommitToken* confirm) {
  Published published;
  published.queues = 1;
  const bool answered = answers(handle, persistent);
  if (confirm != nullptr && answered) published.pending_confirms = 1;
  if (handle.home == parts_.self && !own_publishes_wait()) {
    Queue* const queue = find_queue(handle.id);
    WARREN_ASSERT(queue != nullptr);
    queue->enqueue(block, persistent, answered ? confirm : nullptr);
    return published;
  }
  PublishMessage message;
  message.targets.push_back({handle.id, answered});
  message.block = block;
  if (confirm != nullptr) message.confirm = *confirm;
  parts_.gauges->add_inbound(handle.home, message.backlog_bytes());
  if (handle.home == parts_.self) ++own_publishes_queued_;
  send(handle.home, std::move(message));
  return published;
}

void BrokerShard::publish_here(const std::vector<QueueHandle*>& queues, const BlockRef& block,
                               const BodyId& body, bool persistent,
                               const storage::CommitToken* confirm, bool several_shards) {
  for (const QueueHandle* handle : queues) {
    if (handle->home != parts_.self) continue;
    Queue* const queue = find_queue(handle->id);
    WARREN_ASSERT(queue != nullptr);
    queue->enqueue(block, persistent, answers(*handle, persistent) ? confirm : nullptr, body);
    if (persistent && queue->durable() && several_shards) hold_part();
  }
}

// What several queues keep durably is stored once, if it is worth it.
BodyId BrokerShard::share(const Block& block, unsigned kept_count) {
  return kept_count > 1 ? parts_.store->share(block) : BodyId{};
}

// From its own marker on a shard's publishes belong to the next epoch, and they keep their order.
bool BrokerShard::own_publishes_wait() const {
  return barrier_.ended(parts_.self) || own_publishes_queued_ > 0;
}

// What is gathered has a part of a publish that other shards keep, too: it is not handed over
// before the epoch ends.
void BrokerShard::hold_part() {
  barrier_.gathered_part();
  parts_.store->hold(true);
}

}  // namespace warren::broker
