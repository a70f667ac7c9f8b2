// SPDX-License-Identifier: Apache-2.0
// Changes of the topology, one after the other: validate against the authoritative copy, commit,
// apply on every shard, answer. Lives on the control shard. Operations are pipelined: several wait
// for one fsync, but they take effect and are answered in order, so that an -ok means durable (S8)
// and visible on every connection.
//   control_plane.cc     the pipeline
//   control_queues.cc    queue.declare, removal
//   control_exchanges.cc exchange.declare, delete, bindings
//   control_policies.cc  policies set and cleared
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "server/broker/broker_limits.h"
#include "server/broker/shard_messages.h"
#include "server/broker/topology.h"

namespace warren::broker {

// What the control plane asks of its shard.
class ControlHost {
 public:
  virtual ~ControlHost() = default;
  // Every shard applies `changes` and answers with Applied, this shard included.
  virtual void broadcast(std::uint64_t operation, const std::vector<TopologyChange>& changes) = 0;
  virtual void answer(Reply reply) = 0;
  virtual void forward(ShardIndex to, ShardMessage message) = 0;
  // Every shard has applied this operation and all before it.
  virtual void known_everywhere(std::uint64_t operation) = 0;
  // ControlPlane::on_committed(operation) follows when the changes are durable.
  virtual void commit(std::vector<storage::DefinitionChange> changes, std::uint64_t operation) = 0;
  // The first of `count` consecutive numbers.
  virtual LogId new_log_ids(std::uint32_t count) = 0;
};

// Runs on: the control shard. Owned by: its BrokerShard. Bound: operations under way, one per
// waiting session.
class ControlPlane {
 public:
  ControlPlane(ControlHost& host, unsigned shard_count, const BrokerLimits& limits)
      : host_(host), shard_count_(shard_count), limits_(limits) {}

  // Recovered definitions, before the first operation.
  void load(const std::vector<TopologyChange>& changes);

  void handle(DeclareExchange& message);
  void handle(DeleteExchange& message);
  void handle(ChangeBinding& message);
  void handle(DeclareQueue& message);
  void handle(RemoveQueue& message);
  void handle(RemoveExclusive& message);
  void handle(SetPolicy& message);
  void handle(ClearPolicy& message);
  void handle(const Applied& message);
  void on_committed(std::uint64_t operation);

 private:
  struct Operation {
    std::uint64_t number = 0;
    std::vector<TopologyChange> changes;
    std::vector<storage::DefinitionChange> definitions;
    Reply reply;
    // Instead of the reply: the home of the queue answers (queue.declare of an existing one).
    std::optional<ShardIndex> forward_to;
    CountRequest forwarded;
    std::vector<std::string> lost_binding;  // exchanges that were the source of a removed binding
    bool committed = false;
    bool broadcast = false;
    unsigned applied = 0;  // shards that have it
  };

  // Applies a change to the authoritative copy and notes it for the others.
  void change(Operation& operation, TopologyChange change);
  void put(Operation& operation, storage::Definition definition);
  void remove(Operation& operation, storage::Definition definition);
  void submit(Operation operation);
  void advance();
  void finish(Operation& operation);
  void fail(const ReplyTo& to, amqp::AmqpError error);

  void add_queue(Operation& operation, storage::QueueDefinition definition,
                 ConnectionId connection);
  void remove_queue(Operation& operation, const Vhost& vhost, const QueueHandle& queue);
  void remove_exchange(Operation& operation, const Vhost& vhost, const Exchange& exchange);
  void remove_unused_exchanges(Operation& operation, const Vhost& vhost);
  void forget_binding(Operation& operation, const Binding& binding);
  static bool is_durable(const Vhost& vhost, const storage::BindingDefinition& definition);
  std::optional<amqp::AmqpError> refuse_binding(const ChangeBinding& message,
                                                const Vhost& vhost) const;

  ControlHost& host_;
  unsigned shard_count_;
  const BrokerLimits limits_;
  Topology topology_;
  std::deque<Operation> operations_;
  std::uint64_t next_operation_ = 1;
  // Exclusive queues by owner: vhost and name.
  boost::unordered_flat_map<std::uint64_t, std::vector<std::pair<std::string, std::string>>> owned_;
};

// The texts that several places answer with.
amqp::AmqpError no_queue(std::string_view queue, std::string_view vhost);
amqp::AmqpError no_exchange(std::string_view exchange, std::string_view vhost);
amqp::AmqpError locked_queue(std::string_view queue, std::string_view vhost);

amqp::AmqpError hidden_queue(std::string_view queue, std::string_view vhost);

// A name as it is kept: without CR and LF, as RabbitMQ does.
std::string clean_name(Bytes name);

// Would declaring change nothing? Its owner's or not exclusive, and equivalent.
bool same_queue(const DeclareQueue& declare, const QueueHandle& current);

}  // namespace warren::broker
