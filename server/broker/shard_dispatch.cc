// SPDX-License-Identifier: Apache-2.0
// What a shard does with each message of shard_messages.h.
#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"

#include "server/broker/broker_shard.h"
#include "server/broker/exchange/stable_hash.h"
#include "server/broker/message.h"

namespace warren::broker {

// ---- for a queue that lives here ----

void BrokerShard::on(PublishMessage& message) {
  const bool persistent = MessageView(*message.block).persistent();
  parts_.gauges->add_inbound(parts_.self, -message.backlog_bytes());
  for (const PublishMessage::Target& target : message.targets) {
    const storage::CommitToken* const token =
        target.answers && message.confirm ? &*message.confirm : nullptr;
    if (Queue* const queue = find_queue(target.queue)) {
      queue->enqueue(message.block, persistent, token, message.body);
      if (queue->holds_publishers()) tell_holder(target.queue);
    } else if (token != nullptr) {
      confirm(*token);  // a queue that was deleted meanwhile owes nothing more
    }
  }
  if (message.several_shards) hold_part();
  if (message.targets.size() > 1) tell_uncommitted();
}

// ---- queues that hold their publishers ----

void BrokerShard::hold_publishers(Queue& queue, bool hold) {
  HoldPublishers change{queue.id(), hold};
  on(change);
  if (hold) return;
  const auto told = told_to_hold_.find(queue.id());
  if (told == told_to_hold_.end()) return;
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    if ((told->second >> shard & 1) != 0) post(shard, change);
  }
  told_to_hold_.erase(told);
}

// Only who publishes to the queue needs to know.
void BrokerShard::tell_holder(QueueId queue) {
  if (receiving_from_ == parts_.self) return;
  std::uint64_t& told = told_to_hold_[queue];
  const std::uint64_t bit = std::uint64_t{1} << receiving_from_;
  if ((told & bit) == 0) post(receiving_from_, HoldPublishers{queue, true});
  told |= bit;
}

void BrokerShard::on(HoldPublishers& message) {
  if (message.hold) {
    holding_.insert(message.queue);
  } else if (holding_.erase(message.queue) > 0) {
    ++releases_;
  }
}

void BrokerShard::on(SettleMessage& message) {
  for (const SettleMessage::One& one : message.settled) settle_here(one.queue, one.place, one.how);
  if (message.several_shards) hold_part();
}

void BrokerShard::on(SyncRequest& message) {
  Reply done;
  done.to = message.reply_to;
  reply_when_durable(std::move(done));
}

Reply BrokerShard::missing_queue(const ReplyTo& to) {
  Reply reply;
  reply.to = to;
  reply.no_queue = true;
  return reply;
}

void BrokerShard::on(ConsumeRequest& message) {
  Queue* const queue = find_queue(message.queue);
  if (queue == nullptr || queue->removing()) return reply(missing_queue(message.reply_to));
  remember_holder(message.channel.connection, *queue);
  queue->consume(message);
}

void BrokerShard::on(CancelRequest& message) {
  Queue* const queue = find_queue(message.queue);
  if (message.by_broker) {
    if (queue == nullptr) return;  // it cancels its consumers when it goes
    queue->cancel(message);
    return send(message.channel.connection.shard(),
                ConsumerCancelled{message.channel.connection, message.consumer});
  }
  if (queue != nullptr) return queue->cancel(message);
  Reply done;
  done.to = message.reply_to;
  reply(std::move(done));
}

void BrokerShard::on(GetRequest& message) {
  Queue* const queue = find_queue(message.queue);
  if (queue == nullptr || queue->removing()) return reply(missing_queue(message.reply_to));
  if (!message.no_ack) remember_holder(message.channel.connection, *queue);
  queue->get(message);
}

void BrokerShard::on(PurgeRequest& message) {
  Queue* const queue = find_queue(message.queue);
  if (queue == nullptr || queue->removing()) return reply(missing_queue(message.reply_to));
  queue->purge(message);
}

void BrokerShard::on(DeleteQueueRequest& message) {
  Reply done;
  done.to = message.reply_to;
  Queue* const queue = find_queue(message.queue);
  if (queue == nullptr) return reply(std::move(done));
  if (queue->removing()) {
    // Answered behind the removal that is under way: gone is gone everywhere.
    const storage::QueueDefinition& going = queue->definition();
    return send(kControlShard, RemoveQueue{going.vhost, going.name, queue->id(), std::move(done)});
  }
  const storage::QueueDefinition& definition = queue->definition();
  const bool in_use = message.if_unused && queue->consumer_count() > 0;
  const bool not_empty = message.if_empty && queue->ready_count() + queue->waiting_count() > 0;
  if (in_use || not_empty) {
    done.error =
        amqp::channel_error(amqp::ReplyCode::precondition_failed,
                            fmt::format("queue '{}' in vhost '{}' {}", definition.name,
                                        definition.vhost, in_use ? "in use" : "not empty"));
    return reply(std::move(done));
  }
  queue->set_removing();
  done.message_count = static_cast<std::uint32_t>(queue->ready_count() + queue->waiting_count());
  send(kControlShard, RemoveQueue{definition.vhost, definition.name, queue->id(), std::move(done)});
}

void BrokerShard::on(CountRequest& message) {
  Queue* const queue = find_queue(message.queue);
  if (queue != nullptr && !queue->removing()) return queue->count(message);
  if (message.retry) {
    // An exclusive queue lives with its owner: if that is gone by now, nobody would ever remove a
    // new one.
    const ConnectionId owner = message.retry->connection;
    const bool owner_gone = released_.contains(owner.value) || find_session(owner) == nullptr;
    if (message.retry->definition.exclusive && owner_gone) return;
    send(kControlShard, std::move(*message.retry));
    return;
  }
  reply(missing_queue(message.reply_to));
}

void BrokerShard::on(CreditReturn& message) {
  if (Queue* const queue = find_queue(message.queue)) queue->return_credit(message);
}

void BrokerShard::on(Grant& message) {
  Queue* const queue = find_queue(message.queue);
  if (queue != nullptr) queue->grant(message);
}

void BrokerShard::on(ShareLimit& message) {
  if (Queue* const queue = find_queue(message.queue)) queue->share_limit(message);
}

void BrokerShard::on(HolderGone& message) {
  const auto held = holders_.find(message.channel.connection.value);
  if (held == holders_.end()) return;
  for (const QueueId id : held->second) {
    if (Queue* const queue = find_queue(id)) queue->holder_gone(message.channel);
  }
  if (message.channel.channel == 0) holders_.erase(held);
}

void BrokerShard::remember_holder(ConnectionId connection, Queue& queue) {
  holders_[connection.value].insert(queue.id());
  queue.add_holder(connection);
}

// ---- for a session that is served here ----

void BrokerShard::on(Reply& message) {
  reply(std::move(message));
}

void BrokerShard::on(Delivery& message) {
  // No session: its end is on the way to the queue, which takes the message back.
  if (SessionSink* const session = find_session(message.connection)) session->on_delivery(message);
}

void BrokerShard::on(Confirmed& message) {
  for (const storage::CommitToken& token : message.tokens) confirm(token);
}

void BrokerShard::on(Refused& message) {
  for (const storage::CommitToken& token : message.tokens) refuse(token);
}

void BrokerShard::on(ConsumerTimedOut& message) {
  if (SessionSink* const session = find_session(message.connection)) {
    session->on_consumer_timed_out(message);
  }
}

void BrokerShard::on(ConsumerCancelled& message) {
  if (SessionSink* const session = find_session(message.connection)) {
    session->on_consumer_cancelled(message.consumer);
  }
}

void BrokerShard::on(Ask& message) {
  if (SessionSink* const session = find_session(message.connection)) session->on_ask(message);
}

void BrokerShard::on(GrantReturn& message) {
  if (SessionSink* const session = find_session(message.connection)) {
    session->on_grant_return(message);
  }
}

void BrokerShard::on(DirectReply& message) {
  if (message.block) {
    parts_.gauges->add_inbound(parts_.self, -static_cast<std::int64_t>(message.block->size()));
  }
  SessionSink* const session = find_session(message.channel.connection);
  Reply answer;
  answer.to = message.reply_to;
  answer.no_queue = session == nullptr || !session->on_direct_reply(message);
  answer.consumer_count = 1;
  reply(std::move(answer));
}

// ---- deduplication ----

ShardIndex BrokerShard::dedup_home(const std::string& vhost, const std::string& exchange) const {
  return static_cast<ShardIndex>((stable_hash(vhost) ^ mix_bits(stable_hash(exchange))) %
                                 parts_.shard_count);
}

bool BrokerShard::is_duplicate(const DedupRequest& request) {
  const auto [cache, added] =
      dedup_caches_.try_emplace({request.vhost, request.exchange}, request.size);
  return !cache->second.insert(request.id, request.now);
}

void BrokerShard::on(DedupRequest& message) {
  Reply answer;
  answer.to = message.reply_to;
  answer.duplicate = is_duplicate(message);
  reply(std::move(answer));
}

void BrokerShard::on(DedupForget& message) {
  const auto cache = dedup_caches_.find({message.vhost, message.exchange});
  if (cache != dedup_caches_.end()) cache->second.forget(message.id, message.claim);
}

// ---- the control shard and its changes ----

template <class ControlMessage>
void BrokerShard::on(ControlMessage& message) {
  WARREN_ASSERT(control_ != nullptr);
  control_->handle(message);
}
template void BrokerShard::on(DeclareExchange&);
template void BrokerShard::on(DeleteExchange&);
template void BrokerShard::on(ChangeBinding&);
template void BrokerShard::on(DeclareQueue&);
template void BrokerShard::on(RemoveQueue&);
template void BrokerShard::on(RemoveExclusive&);
template void BrokerShard::on(SetPolicy&);
template void BrokerShard::on(ClearPolicy&);
template void BrokerShard::on(Applied&);

void BrokerShard::on(Apply& message) {
  apply(message.changes, message.operation);
  send(kControlShard, Applied{message.operation});
}

void BrokerShard::apply(const std::vector<TopologyChange>& changes, std::uint64_t operation) {
  for (const TopologyChange& change : changes) {
    if (const auto* const removed = std::get_if<QueueRemoved>(&change)) {
      if (removed->home == parts_.self) destroy_queue(*removed);
    } else if (const auto* const gone = std::get_if<ExchangeRemoved>(&change)) {
      dedup_caches_.erase({gone->vhost, gone->name});
    }
    topology_.apply(change);
    if (const auto* const added = std::get_if<QueueAdded>(&change)) {
      const storage::QueueDefinition& definition = *added->definition;
      topology_.find_vhost(definition.vhost)->find_queue(definition.name)->added_by = operation;
      if (added->home == parts_.self) create_queue(added->definition, {});
    } else if (const auto* const set = std::get_if<PolicySet>(&change)) {
      change_settings(set->definition.vhost);
    } else if (const auto* const cleared = std::get_if<PolicyCleared>(&change)) {
      change_settings(cleared->vhost);
    } else if (const auto* const access = std::get_if<AccessChanged>(&change)) {
      if (on_access_changed) on_access_changed(access->change);
    }
  }
}

// The vhost's policies are others.
void BrokerShard::change_settings(const std::string& vhost_name) {
  const Vhost* const vhost = topology_.find_vhost(vhost_name);
  for (const auto& [name, handle] : vhost->queues) {
    if (handle->home != parts_.self) continue;
    const auto dormant = dormant_.find(handle->id);
    if (dormant != dormant_.end()) {
      if (Queue::acts_by_itself(*handle->settings, dormant->second.logs)) wake_queue(handle->id);
      continue;
    }
    Queue* const queue = find_queue(handle->id);
    if (queue != nullptr && queue->settings() != *handle->settings) {
      queue->change_settings(handle->settings);
    }
  }
}

Queue& BrokerShard::create_queue(const QueueDefinitionPtr& definition,
                                 const std::vector<storage::LogState>& recovered) {
  const Vhost* const vhost = topology_.find_vhost(definition->vhost);
  const QueueHandle* const handle = vhost->find_queue(definition->name);
  auto queue = std::make_unique<Queue>(static_cast<QueueHost&>(*this), definition, handle->settings,
                                       parts_.limits.queue_window_bytes, recovered);
  const auto [at, inserted] = queues_.emplace(definition->log, std::move(queue));
  WARREN_ASSERT(inserted);
  return *at->second;
}

// Null: there is none that sleeps.
Queue* BrokerShard::wake_queue(QueueId id) {
  const auto at = dormant_.find(id);
  if (at == dormant_.end()) return nullptr;
  const Dormant dormant = std::move(at->second);
  dormant_.erase(at);
  return &create_queue(dormant.definition, dormant.logs);
}

void BrokerShard::destroy_queue(const QueueRemoved& removed) {
  wake_queue(removed.id);  // its logs are to be dropped
  const auto at = queues_.find(removed.id);
  if (at == queues_.end()) return;
  last_queue_ = nullptr;
  last_queue_id_ = QueueId{};
  Queue& queue = *at->second;
  if (queue.holds_publishers()) hold_publishers(queue, false);
  queue.cancel_all_consumers();
  for (const std::uint64_t holder : queue.holders()) {
    const auto held = holders_.find(holder);
    if (held != holders_.end()) held->second.erase(removed.id);
  }
  const std::vector<LogId> logs = queue.open_logs();
  queues_.erase(at);
  for (const LogId log : logs) {
    lanes_.erase(log);
    parts_.store->drop_log(log);
  }
}

Queue* BrokerShard::find_queue_of(LogId log) {
  if (Queue* const queue = find_queue(log)) return queue;
  const auto lane = lanes_.find(log);
  return lane == lanes_.end() ? nullptr : find_queue(lane->second);
}

Queue* BrokerShard::find_queue(QueueId id) {
  if (last_queue_ != nullptr && last_queue_id_ == id) return last_queue_;
  const auto at = queues_.find(id);
  Queue* const found = at != queues_.end() ? at->second.get() : wake_queue(id);
  if (found == nullptr) return nullptr;
  last_queue_id_ = id;
  last_queue_ = found;
  return found;
}

}  // namespace warren::broker
