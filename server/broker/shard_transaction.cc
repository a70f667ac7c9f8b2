// SPDX-License-Identifier: Apache-2.0
// tx.commit: publishes and settlements of any queues on any shards as one commit. What a shard says
// between two of its markers is committed together (fanout_barrier.h), so all that is needed is to
// say it all at once.
#include "storage/base/assert.h"

#include "server/broker/broker_shard.h"
#include "server/broker/message.h"

namespace warren::broker {

unsigned BrokerShard::commit(const Transaction& transaction, ReplyTo reply_to) {
  std::uint64_t involved = 0;  // a bit per shard
  std::vector<BodyId> bodies;  // of its publishes
  for (const Transaction::Publish& publish : transaction.publishes) {
    const bool persistent = MessageView(*publish.block).persistent();
    unsigned kept_count = 0;
    for (const QueueHandle* queue : publish.queues) {
      involved |= std::uint64_t{1} << queue->home;
      if (persistent && queue->stored) ++kept_count;
    }
    bodies.push_back(share(*publish.block, kept_count));
  }
  for (const Transaction::Settled& settled : transaction.settled) {
    involved |= std::uint64_t{1} << settled.home;
  }
  const bool several_shards = (involved & (involved - 1)) != 0;
  unsigned answers = 0;
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    if ((involved >> shard & 1) == 0) continue;
    commit_part(shard, transaction, bodies, several_shards);
    send(shard, SyncRequest{reply_to});
    ++answers;
  }
  return answers;
}

void BrokerShard::commit_part(ShardIndex shard, const Transaction& transaction,
                              const std::vector<BodyId>& bodies, bool several_shards) {
  const bool here = shard == parts_.self && !own_publishes_wait();
  for (std::size_t i = 0; i < transaction.publishes.size(); ++i) {
    const Transaction::Publish& publish = transaction.publishes[i];
    PublishMessage message;
    for (const QueueHandle* queue : publish.queues) {
      if (queue->home == shard) message.targets.push_back({queue->id, false});
    }
    if (message.targets.empty()) continue;
    message.block = publish.block;
    message.body = bodies[i];
    message.several_shards = several_shards;
    parts_.gauges->add_inbound(shard, message.backlog_bytes());
    if (here) {
      on(message);
      continue;
    }
    if (shard == parts_.self) ++own_publishes_queued_;
    send(shard, std::move(message));
  }
  SettleMessage settle;
  settle.several_shards = several_shards;
  for (const Transaction::Settled& settled : transaction.settled) {
    if (settled.home == shard) settle.settled.push_back(settled.one);
  }
  if (settle.settled.empty()) return;
  if (here) {
    on(settle);
  } else {
    send(shard, std::move(settle));
  }
}

}  // namespace warren::broker
