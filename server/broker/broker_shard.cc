// SPDX-License-Identifier: Apache-2.0
#include "server/broker/broker_shard.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"

namespace warren::broker {
namespace {

// Which kind of waiter a token stands for: the two top bits of its first word.
constexpr std::uint64_t kTokenKindMask = std::uint64_t{3} << 62;
constexpr std::uint64_t kConfirmToken = 0;
constexpr std::uint64_t kOperationToken = std::uint64_t{1} << 62;
constexpr std::uint64_t kReplyToken = std::uint64_t{2} << 62;
constexpr unsigned kPublishSeqBits = 48;

}  // namespace

BrokerShard::BrokerShard(BrokerShardParts parts)
    : parts_(std::move(parts)),
      barrier_(parts_.self, parts_.shard_count),
      outboxes_(parts_.shard_count) {
  if (parts_.self == kControlShard) {
    control_ = std::make_unique<ControlPlane>(static_cast<ControlHost&>(*this), parts_.shard_count,
                                              parts_.limits);
  }
}

BrokerShard::~BrokerShard() = default;

storage::CommitToken BrokerShard::confirm_token(ConnectionId connection, std::uint16_t channel,
                                                std::uint64_t publish_seq) {
  WARREN_ASSERT((connection.value & kTokenKindMask) == kConfirmToken);
  WARREN_ASSERT(publish_seq < (std::uint64_t{1} << kPublishSeqBits));
  return {connection.value, (static_cast<std::uint64_t>(channel) << kPublishSeqBits) | publish_seq};
}

// ---- start ----

void BrokerShard::load(const std::vector<TopologyChange>& changes,
                       const boost::unordered_flat_map<QueueId, storage::LogState>& states) {
  now_ms_ = parts_.clock->wall_ms();
  if (control_) control_->load(changes);
  for (const TopologyChange& change : changes) {
    topology_.apply(change);
    if (const auto* const added = std::get_if<QueueAdded>(&change)) {
      if (added->home != parts_.self) continue;
      load_queue(added->definition, states);
    } else if (const auto* const access = std::get_if<AccessChanged>(&change)) {
      if (on_access_changed) on_access_changed(access->change);
    }
  }
}

void BrokerShard::load_queue(const QueueDefinitionPtr& definition,
                             const boost::unordered_flat_map<QueueId, storage::LogState>& states) {
  const QueueHandle& handle =
      *topology_.find_vhost(definition->vhost)->find_queue(definition->name);
  std::vector<storage::LogState> logs;
  for (std::uint32_t i = 0; i < definition->log_count; ++i) {
    const auto state = states.find(LogId(definition->log.value + i));
    if (state != states.end()) logs.push_back(state->second);
  }
  if (Queue::acts_by_itself(*handle.settings, logs)) {
    create_queue(definition, logs);
  } else {
    dormant_.emplace(definition->log, Dormant{definition, std::move(logs)});
  }
}

// ---- sessions ----

ConnectionId BrokerShard::new_connection_id() {
  return ConnectionId::make(parts_.self, next_connection_++);
}

void BrokerShard::add_session(SessionSink& session) {
  const bool added = sessions_.emplace(session.connection_id().value, &session).second;
  WARREN_ASSERT(added);
}

void BrokerShard::remove_session(SessionSink& session) {
  sessions_.erase(session.connection_id().value);
  released_.erase(session.connection_id().value);
}

void BrokerShard::release_connection(ConnectionId connection, bool exclusive_queues,
                                     ReplyTo reply_to) {
  released_.insert(connection.value);
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    send(shard, HolderGone{ChannelKey{connection, 0}});
  }
  if (exclusive_queues) {
    send(kControlShard, RemoveExclusive{reply_to, connection});
  } else if (reply_to.ticket != 0) {
    Reply done;
    done.to = reply_to;
    send(parts_.self, std::move(done));
  }
}

void BrokerShard::mark_session(SessionSink& session) {
  marked_sessions_.push_back(session.connection_id().value);
}

SessionSink* BrokerShard::find_session(ConnectionId id) {
  const auto at = sessions_.find(id.value);
  return at == sessions_.end() ? nullptr : at->second;
}

void BrokerShard::settle(ShardIndex home, QueueId queue, Place place, Settlement how) {
  if (home == parts_.self) {
    settle_here(queue, place, how);
  } else {
    outboxes_[home].settled.push_back({queue, place, how});
  }
}

void BrokerShard::settle_here(QueueId queue, Place place, Settlement how) {
  if (Queue* const found = find_queue(queue)) found->settle(place, how);
}

void BrokerShard::send(ShardIndex to, ShardMessage message) {
  if (to == parts_.self) {
    inbox_.push_back({parts_.self, std::move(message)});
  } else {
    post(to, std::move(message));
  }
}

void BrokerShard::post(ShardIndex to, ShardMessage message) {
  flush_settled(to);
  outboxes_[to].messages.push_back(std::move(message));
}

// Settlements and confirms gather in runs of their own and keep their place in the order.
void BrokerShard::flush_settled(ShardIndex to) {
  Outbox& outbox = outboxes_[to];
  if (!outbox.settled.empty()) {
    outbox.messages.emplace_back(SettleMessage{std::move(outbox.settled)});
    outbox.settled.clear();
  }
  if (!outbox.confirmed.empty()) {
    outbox.messages.emplace_back(Confirmed{std::move(outbox.confirmed)});
    outbox.confirmed.clear();
  }
  if (!outbox.refused.empty()) {
    outbox.messages.emplace_back(Refused{std::move(outbox.refused)});
    outbox.refused.clear();
  }
}

// ---- turns ----

void BrokerShard::receive(ShardIndex from, std::vector<ShardMessage> batch) {
  for (ShardMessage& message : batch) inbox_.push_back({from, std::move(message)});
}

bool BrokerShard::has_work() const {
  return !inbox_.empty() || !scheduled_.empty() || !marked_sessions_.empty() || !answers_.empty() ||
         (!dead_letters_.empty() && !barrier_.ended(parts_.self));
}

bool BrokerShard::has_output() const {
  return std::any_of(outboxes_.begin(), outboxes_.end(), [](const Outbox& outbox) {
    return !outbox.messages.empty() || !outbox.settled.empty() || !outbox.confirmed.empty() ||
           !outbox.refused.empty();
  });
}

Instant BrokerShard::run_turn(Instant now) {
  Instant next = Instant::max();
  now_ms_ = parts_.clock->wall_ms();
  copied_bytes_ = 0;
  if (now >= retry_reads_at_) retry_reads(now);
  ring_alarms();
  // Local answers make local work: a few rounds bring it to rest, the next turn does the rest.
  constexpr int kRoundsMax = 8;
  for (int round = 0; round < kRoundsMax; ++round) {
    bury_deferred();
    drain_inbox();
    dispatch_queues();
    end_epoch();
    next = parts_.store->end_turn(now);
    give_answers();
    end_sessions_turn();
    if (!has_work()) break;
  }
  hand_over();
  tell_uncommitted();
  return has_work() ? now : std::min({next, retry_reads_at_, next_alarm(now)});
}

void BrokerShard::drain_inbox() {
  std::vector<Incoming> batch;
  batch.swap(inbox_);
  for (Incoming& one : batch) {
    if (barrier_.ended(one.from)) {
      barrier_.put_aside(one.from, std::move(one.message));
    } else if (std::holds_alternative<Marker>(one.message)) {
      WARREN_INVARIANT(S4, std::get<Marker>(one.message).epoch == barrier_.epoch());
      barrier_.end(one.from);
    } else {
      const bool own = one.from == parts_.self;
      if (own && std::holds_alternative<PublishMessage>(one.message)) --own_publishes_queued_;
      receiving_from_ = one.from;
      std::visit([this](auto& message) { on(message); }, one.message);
    }
  }
}

// Ends this shard's epoch when it holds a part of a fan-out, or when another shard waits for it.
void BrokerShard::end_epoch() {
  const bool wanted = barrier_.holds_part() && !parts_.store->hand_over_under_way();
  if ((wanted || barrier_.is_awaited()) && !barrier_.ended(parts_.self)) {
    for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
      if (shard != parts_.self) post(shard, Marker{barrier_.epoch()});
    }
    barrier_.end(parts_.self);
  }
  if (barrier_.complete()) begin_epoch();
}

// Everybody has ended the epoch: what was gathered in it is handed over as one commit of all
// shards.
void BrokerShard::begin_epoch() {
  parts_.store->join_fanout(barrier_.epoch(), parts_.shard_count);
  parts_.store->hold(false);
  std::vector<Incoming> inbox;
  std::vector<std::deque<ShardMessage>> aside = barrier_.begin_next();
  for (ShardIndex from = 0; from < parts_.shard_count; ++from) {
    for (ShardMessage& message : aside[from]) inbox.push_back({from, std::move(message)});
  }
  for (Incoming& one : inbox_) inbox.push_back(std::move(one));
  inbox_.swap(inbox);
}

void BrokerShard::dispatch_queues() {
  std::vector<QueueId> batch;
  batch.swap(scheduled_);
  is_scheduled_.clear();
  for (const QueueId id : batch) {
    if (Queue* const queue = find_queue(id)) queue->dispatch();
  }
}

void BrokerShard::end_sessions_turn() {
  std::vector<std::uint64_t> batch;
  batch.swap(marked_sessions_);
  for (const std::uint64_t id : batch) {
    if (SessionSink* const session = find_session(ConnectionId{id})) session->on_turn_end();
  }
}

void BrokerShard::hand_over() {
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    if (shard == parts_.self) continue;
    flush_settled(shard);
    Outbox& outbox = outboxes_[shard];
    if (outbox.messages.empty()) continue;
    parts_.link->send(parts_.self, shard, std::move(outbox.messages));
    outbox.messages.clear();
  }
}

// ---- StoreListener ----

void BrokerShard::on_committed(std::span<const storage::CommitToken> tokens) {
  for (const storage::CommitToken& token : tokens) {
    const std::uint64_t kind = token.a & kTokenKindMask;
    if (kind == kConfirmToken) {
      confirm(token);
    } else if (kind == kOperationToken) {
      control_->on_committed(token.b);
    } else {
      const auto at = durable_replies_.find(token.b);
      WARREN_ASSERT(at != durable_replies_.end());
      Reply done = std::move(at->second);
      durable_replies_.erase(at);
      reply(std::move(done));
    }
  }
}

void BrokerShard::confirm(const storage::CommitToken& token) {
  const ConnectionId connection{token.a};
  if (connection.shard() != parts_.self) {
    outboxes_[connection.shard()].confirmed.push_back(token);
    return;
  }
  if (SessionSink* const session = find_session(connection)) {
    session->on_confirmed(static_cast<std::uint16_t>(token.b >> kPublishSeqBits),
                          token.b & ((std::uint64_t{1} << kPublishSeqBits) - 1));
  }
}

// The answer comes outside of the calls of the one who waits for it.
void BrokerShard::answer_publish(const storage::CommitToken& token, bool taken) {
  answers_.emplace_back(token, taken);
}

void BrokerShard::give_answers() {
  std::vector<std::pair<storage::CommitToken, bool>> batch;
  batch.swap(answers_);
  for (const auto& [token, taken] : batch) taken ? confirm(token) : refuse(token);
}

void BrokerShard::refuse(const storage::CommitToken& token) {
  const ConnectionId connection{token.a};
  if (connection.shard() != parts_.self) {
    outboxes_[connection.shard()].refused.push_back(token);
    return;
  }
  if (SessionSink* const session = find_session(connection)) {
    session->on_refused(static_cast<std::uint16_t>(token.b >> kPublishSeqBits),
                        token.b & ((std::uint64_t{1} << kPublishSeqBits) - 1));
  }
}

void BrokerShard::confirm_when_durable(const storage::CommitToken& token) {
  parts_.store->barrier(token);
}

void BrokerShard::on_stored(LogId log, Seq first, Seq last) {
  if (Queue* const queue = find_queue_of(log)) queue->on_stored(log, first, last);
}

void BrokerShard::on_mark_raised(LogId log) {
  if (Queue* const queue = find_queue_of(log)) queue->on_mark_raised();
}

// ---- QueueHost ----

void BrokerShard::schedule(Queue& queue) {
  if (is_scheduled_.insert(queue.id()).second) scheduled_.push_back(queue.id());
}

void BrokerShard::deliver(const Consumer& consumer, Delivery delivery) {
  const ShardIndex shard = consumer.channel.connection.shard();
  if (shard == parts_.self) {
    if (SessionSink* const session = find_session(consumer.channel.connection)) {
      session->on_delivery(delivery);
    }
  } else {
    post(shard, std::move(delivery));
  }
}

void BrokerShard::ask(const Consumer& consumer) {
  send(consumer.channel.connection.shard(),
       Ask{consumer.channel.connection, consumer.number, consumer.limit_epoch});
}

void BrokerShard::return_grant(const Consumer& consumer, std::uint32_t count) {
  send(consumer.channel.connection.shard(),
       GrantReturn{consumer.channel.connection, consumer.number, count, consumer.limit_epoch});
}

void BrokerShard::reply(Reply reply) {
  if (reply.to.ticket == 0) return;
  const ShardIndex shard = reply.to.connection.shard();
  if (shard != parts_.self) {
    post(shard, std::move(reply));
  } else if (SessionSink* const session = find_session(reply.to.connection)) {
    session->on_reply(reply);
  }
}

void BrokerShard::reply_when_durable(Reply reply) {
  const std::uint64_t number = next_durable_reply_++;
  durable_replies_.emplace(number, std::move(reply));
  parts_.store->barrier({kReplyToken, number});
}

void BrokerShard::cancel_consumer(const Consumer& consumer) {
  send(consumer.channel.connection.shard(),
       ConsumerCancelled{consumer.channel.connection, consumer.number});
}

void BrokerShard::remove_unused(Queue& queue, Reply reply) {
  send(kControlShard, RemoveQueue{queue.definition().vhost, queue.definition().name, queue.id(),
                                  std::move(reply)});
}

void BrokerShard::time_out_consumer(const Consumer& consumer, std::int64_t timeout_ms) {
  send(consumer.channel.connection.shard(),
       ConsumerTimedOut{consumer.channel.connection, consumer.number, timeout_ms});
}

storage::QueueLog& BrokerShard::open_log(const storage::LogState& state, Queue& queue) {
  if (state.id != queue.id()) lanes_.emplace(state.id, queue.id());
  return parts_.store->open_log(state);
}

// ---- ControlHost ----

void BrokerShard::broadcast(std::uint64_t operation, const std::vector<TopologyChange>& changes) {
  for (ShardIndex shard = 0; shard < parts_.shard_count; ++shard) {
    send(shard, Apply{operation, changes});
  }
}

void BrokerShard::answer(Reply reply) {
  this->reply(std::move(reply));
}

void BrokerShard::forward(ShardIndex to, ShardMessage message) {
  send(to, std::move(message));
}

void BrokerShard::commit(std::vector<storage::DefinitionChange> changes, std::uint64_t operation) {
  const storage::CommitToken token{kOperationToken, operation};
  parts_.store->change_definitions(std::move(changes), &token);
}

}  // namespace warren::broker
