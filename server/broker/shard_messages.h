// SPDX-License-Identifier: Apache-2.0
// The closed list of what shards say to each other. Between two shards messages arrive in the order
// they were sent: AMQP's order per channel rests on it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "storage/base/block.h"
#include "storage/engine/queue_log.h"

#include "server/amqp/amqp_error.h"
#include "server/broker/broker_ids.h"
#include "server/broker/dedup.h"
#include "server/broker/topology.h"

namespace warren::broker {

// Where an answer goes: the session's shard is part of the connection id. `ticket` is the session's
// own number; 0: nobody waits.
struct ReplyTo {
  ConnectionId connection;
  std::uint64_t ticket = 0;
};

// The answer to a request. Which fields mean something depends on the request.
struct Reply {
  ReplyTo to;
  std::optional<amqp::AmqpError> error;
  bool no_queue = false;            // the queue is gone: a 404 with the name the session knows
  std::string name;                 // queue.declare: the queue
  std::uint32_t message_count = 0;  // ready messages
  bool duplicate = false;           // of a DedupRequest
  std::uint32_t consumer_count = 0;
  BlockRef block;  // basic.get: the message; null: empty
  Place place = 0;
  QueueId queue;
  bool redelivered = false;
  std::uint32_t returns = 0;  // of a queue that counts them
};

// ---- session shard -> a queue's home ----

// One message for one or several queues of the receiving shard.
struct PublishMessage {
  struct Target {
    QueueId queue;
    // Answers `confirm`, even if it is gone by now: it keeps the message durably, or may refuse it.
    bool answers = false;
  };
  BlockRef block;
  boost::container::small_vector<Target, 2> targets;
  std::optional<storage::CommitToken> confirm;  // comes back once per queue that keeps it durably
  bool several_shards = false;  // kept durably on several shards: one commit over them all (S4)
  BodyId body;                  // of a large block that several queues keep durably: stored once
};

// What the message adds to the backlog of the shard that gets it: a copy for each queue, or one for
// all of them.
inline std::int64_t inbound_bytes(const PublishMessage& message) {
  const std::size_t copies = message.body ? 1 : message.targets.size();
  return static_cast<std::int64_t>(message.block->size() * copies);
}

enum class Settlement : std::uint8_t {
  ack,
  requeue,         // given back: nack, recover, or the holder is gone
  requeue_failed,  // basic.reject with requeue
  reject,          // without
};

struct SettleMessage {
  struct One {
    QueueId queue;
    Place place = 0;
    Settlement how = Settlement::ack;
  };
  std::vector<One> settled;
  bool several_shards = false;  // of a transaction over several shards: one commit (S4)
};

// Answered when all that came before it is durable.
struct SyncRequest {
  ReplyTo reply_to;
};

struct ConsumeRequest {
  ReplyTo reply_to;
  QueueId queue;
  ChannelKey channel;
  ConsumerNumber consumer = 0;
  std::string tag;
  bool no_ack = false;
  bool exclusive = false;
  // The channel has a limit over all its consumers: deliveries are asked for first.
  bool shared_limit = false;
  std::uint32_t limit_epoch = 0;
  std::uint16_t prefetch = 0;  // 0: no limit
  std::int32_t priority = 0;
};
struct CancelRequest {
  ReplyTo reply_to;
  QueueId queue;
  ChannelKey channel;
  ConsumerNumber consumer = 0;
  bool by_broker = false;  // not the client's wish: answered with ConsumerCancelled
};
struct GetRequest {
  ReplyTo reply_to;
  QueueId queue;
  ChannelKey channel;
  bool no_ack = false;
};
struct PurgeRequest {
  ReplyTo reply_to;
  QueueId queue;
};
struct DeleteQueueRequest {
  ReplyTo reply_to;
  QueueId queue;
  bool if_unused = false;
  bool if_empty = false;
};
struct DeclareQueue {
  ReplyTo reply_to;
  storage::QueueDefinition definition;  // log: not set
  ConnectionId connection;
  bool server_named = false;
};
// Ready and consumer counts, for a queue.declare of an existing queue. If the queue is just being
// removed, the declaration in `retry` goes back to the control shard and makes a new one; without
// it the answer is 404.
struct CountRequest {
  ReplyTo reply_to;
  QueueId queue;
  std::shared_ptr<DeclareQueue> retry;
};
// Bytes of this consumer left for the socket.
struct CreditReturn {
  QueueId queue;
  ChannelKey channel;
  ConsumerNumber consumer = 0;
  std::uint64_t bytes = 0;
};
// The channel's shared limit lets `count` more deliveries through, in answer to an ask.
struct Grant {
  QueueId queue;
  ChannelKey channel;
  ConsumerNumber consumer = 0;
  std::uint32_t count = 0;
  std::uint32_t limit_epoch = 0;
};
// The consumer's channel has, or has no more, a limit over all of its consumers.
struct ShareLimit {
  QueueId queue;
  ChannelKey channel;
  ConsumerNumber consumer = 0;
  bool shared = false;
  std::uint32_t limit_epoch = 0;  // counts the changes: what belongs to an earlier one is void
};
// The channel, or with channel 0 the whole connection, is gone: its consumers go, its unsettled
// messages come back.
struct HolderGone {
  ChannelKey channel;
};

// ---- a queue's home -> session shard ----

struct Delivery {
  ConnectionId connection;
  ConsumerNumber consumer = 0;
  QueueId queue;
  Place place = 0;
  bool redelivered = false;
  std::uint32_t returns = 0;  // of a queue that counts them
  bool granted = false;       // it used a grant of limit_epoch
  std::uint32_t limit_epoch = 0;
  BlockRef block;
};
struct Confirmed {
  std::vector<storage::CommitToken> tokens;
};
// Publishes that a queue did not take (x-overflow).
struct Refused {
  std::vector<storage::CommitToken> tokens;
};
// A delivery of this consumer was not acknowledged in the time its queue allows.
struct ConsumerTimedOut {
  ConnectionId connection;
  ConsumerNumber consumer = 0;
  std::int64_t timeout_ms = 0;
};
struct ConsumerCancelled {
  ConnectionId connection;
  ConsumerNumber consumer = 0;
};
// A consumer under a shared limit could be served: answered by a Grant when the channel has room.
struct Ask {
  ConnectionId connection;
  ConsumerNumber consumer = 0;
  std::uint32_t limit_epoch = 0;
};
// What a Grant did not use.
struct GrantReturn {
  ConnectionId connection;
  ConsumerNumber consumer = 0;
  std::uint32_t count = 0;
  std::uint32_t limit_epoch = 0;
};

// ---- session shard -> session shard ----

// A message for a channel that waits for replies (reply_address.h); without a block only the
// question whether it does. Answered with no_queue when it does not.
struct DirectReply {
  ReplyTo reply_to;
  ChannelKey channel;
  std::string address;
  BlockRef block;
};

// ---- session shard -> an exchange's home for deduplication ----

struct DedupRequest {
  ReplyTo reply_to;
  std::string vhost;
  std::string exchange;
  std::size_t size = 0;  // of the exchange's cache
  DedupId id;
  Instant now;
};
// The publish that asked did not take place.
struct DedupForget {
  std::string vhost;
  std::string exchange;
  std::string id;
  std::uint64_t claim = 0;
};

// ---- session shard -> control shard ----

struct DeclareExchange {
  ReplyTo reply_to;
  storage::ExchangeDefinition definition;
};
struct DeleteExchange {
  ReplyTo reply_to;
  std::string vhost;
  std::string name;
  bool if_unused = false;
};
struct ChangeBinding {
  ReplyTo reply_to;
  bool add = true;
  ConnectionId connection;  // who asks: exclusive queues are their owner's only
  storage::BindingDefinition definition;
};
// From a queue's home, which has checked that it may go; `reply` is passed on when the removal is
// durable.
struct RemoveQueue {
  std::string vhost;
  std::string name;
  QueueId queue;
  Reply reply;
};
// The connection is gone, or about to answer close-ok: its exclusive queues go.
struct RemoveExclusive {
  ReplyTo reply_to;
  ConnectionId connection;
};
struct SetPolicy {
  ReplyTo reply_to;
  storage::PolicyDefinition definition;
};
struct ClearPolicy {
  ReplyTo reply_to;
  std::string vhost;
  bool operator_policy = false;
  std::string name;
};
struct Applied {
  std::uint64_t operation = 0;
};

// ---- every shard -> every other ----

// The sender's epoch of fan-outs ends here (fanout_barrier.h).
struct Marker {
  std::uint64_t epoch = 0;
};

// ---- control shard -> every shard ----

struct Apply {
  std::uint64_t operation = 0;
  std::vector<TopologyChange> changes;
};

using ShardMessage =
    std::variant<PublishMessage, SettleMessage, SyncRequest, ConsumeRequest, CancelRequest,
                 GetRequest, PurgeRequest, DeleteQueueRequest, CountRequest, CreditReturn, Grant,
                 ShareLimit, HolderGone, Reply, Delivery, Confirmed, Refused, ConsumerTimedOut,
                 ConsumerCancelled, Ask, GrantReturn, DeclareExchange, DeleteExchange,
                 ChangeBinding, DeclareQueue, RemoveQueue, RemoveExclusive, SetPolicy, ClearPolicy,
                 Applied, Apply, Marker, DirectReply, DedupRequest, DedupForget>;

}  // namespace warren::broker
