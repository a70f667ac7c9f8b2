// SPDX-License-Identifier: Apache-2.0
// One AMQP channel: its state, its consumers, its unsettled deliveries, its publishes under way.
// A handler returns nothing, or the error that closes the channel or the connection; the dispatcher
// adds the method.
//   channel.cc           dispatch, replies, closing
//   channel_exchange.cc  class exchange      channel_queue.cc  class queue
//   channel_publish.cc   basic.publish, confirm.select       channel_basic.cc  consuming and
//   settling         channel_reply_to.cc  direct reply-to
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "server/amqp/gen/any_method.gen.h"
#include "server/auth/user_store.h"
#include "server/broker/broker_shard.h"
#include "server/session/confirm_tracker.h"
#include "server/session/content_assembler.h"
#include "server/session/delivery_frames.h"
#include "server/session/unacked_window.h"

namespace warren::session {

class ConnectionSession;

using Outcome = std::optional<amqp::AmqpError>;

// A consumer as its channel sees it.
struct ConsumerRecord {
  ConsumerRecord(std::uint16_t channel_number, std::string consumer_tag)
      : channel(channel_number), tag(std::move(consumer_tag)), frames(channel, tag) {}

  broker::ConsumerNumber number = 0;
  std::uint16_t channel;
  std::string tag;
  DeliveryFrames frames;
  broker::QueueId queue;
  std::string queue_name;
  ShardIndex home = 0;
  bool no_ack = false;
  bool owes_credit = false;  // delivered bytes that were not returned to the queue yet
  std::uint64_t in_flight_bytes = 0;
  std::uint32_t granted = 0;  // let through under the shared limit and not delivered yet
};

// An id that an exchange remembers for a message that is not published yet.
struct DedupClaim {
  std::string exchange;
  std::string id;
  std::uint64_t number = 0;
};

// The consumer of a channel's direct replies.
struct ReplyConsumer {
  std::string tag;
  std::string address;
};

// What a channel waits for: input of the connection stands still until the answer is there.
enum class Waiting : std::uint8_t {
  exchange_declare,
  exchange_delete,
  exchange_bind,
  exchange_unbind,
  queue_declare,
  queue_bind,
  queue_unbind,
  queue_purge,
  queue_delete,
  consume,
  cancel,
  get,
  tx_commit,
  direct_reply,
  deduplicate,
};

struct PendingRequest {
  Waiting what = Waiting::get;
  unsigned answers = 1;  // that come; the last one counts
  bool nowait = false;
  bool no_ack = false;                  // get
  broker::ConsumerNumber consumer = 0;  // consume
  ShardIndex home = 0;                  // get
  std::string name;                     // consume, cancel: the tag; queue.declare: the queue
  std::string queue;                    // of a request that a queue's home answers: for its 404
  BlockRef block;                       // direct_reply, deduplicate: the message
  std::uint64_t publish_seq = 0;        // direct_reply: to be confirmed; 0: not confirming
};

// What waits for tx.commit. Bound: kTransactionBytesMax.
struct DeferredPublish {
  BlockRef block;
  bool persistent = false;
  bool mandatory = false;
  std::vector<std::string> queues;
  std::vector<std::string> reply_addresses;
  std::optional<DedupClaim> claim;  // to be given up if it is not committed
};
struct DeferredSettlement {
  UnackedDelivery delivery;
  broker::Settlement how = broker::Settlement::ack;
};
struct DeferredWork {
  std::vector<DeferredPublish> publishes;
  std::vector<DeferredSettlement> settled;
  std::uint64_t bytes = 0;
};

// Runs on: the connection's shard. Owned by: ConnectionSession.
class Channel {
 public:
  // `confirm_offset`: no channel of this number had a publish above it.
  Channel(ConnectionSession& session, std::uint16_t number, std::uint64_t confirm_offset);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  std::uint16_t number() const { return number_; }
  // We sent channel.close: everything but close and close-ok is dropped (P1).
  bool closing() const { return closing_; }

  // ---- frames; the payload of a method begins with its ids ----
  Outcome on_method(Bytes payload);
  Outcome on_header(Bytes payload);
  Outcome on_body(Bytes payload);

  // ---- from the broker ----
  Outcome on_reply(PendingRequest& pending, broker::Reply& reply);
  void on_delivery(ConsumerRecord& consumer, const broker::Delivery& delivery);
  // An answer to an earlier channel of the same number is nobody's.
  void on_confirmed(std::uint64_t publish_seq) {
    if (publish_seq > confirm_offset_) confirms_.confirm(publish_seq - confirm_offset_);
  }
  void on_refused(std::uint64_t publish_seq) {
    if (publish_seq > confirm_offset_) confirms_.refuse(publish_seq - confirm_offset_);
  }
  std::uint64_t confirm_end() const { return confirm_offset_ + confirms_.next_seq() - 1; }
  void on_consumer_cancelled(ConsumerRecord& consumer);
  void on_consumer_timed_out(std::int64_t timeout_ms);
  void on_ask(ConsumerRecord& consumer, const broker::Ask& ask);
  void on_grant_return(ConsumerRecord& consumer, const broker::GrantReturn& back);
  void flush_confirms();
  // Permissions may have changed: consumers of queues that may not be read any more are cancelled.
  void recheck_consumers();
  // False: this channel does not wait for replies under that address.
  bool take_direct_reply(const broker::DirectReply& reply);

  // Sends channel.close and lets go of everything.
  void close_with(const amqp::AmqpError& error);
  // Gives back what the channel holds. `tell_broker` false: the whole connection is being released.
  void release(bool tell_broker);

 private:
  friend struct MethodHandler;

  // Every method a client may send has an overload; the rest is 503.
  Outcome handle(const amqp::ChannelFlow& method);
  Outcome handle(const amqp::ChannelClose& method);
  Outcome handle(const amqp::AccessRequest& method);
  Outcome handle(const amqp::ExchangeDeclare& method);
  Outcome handle(const amqp::ExchangeDelete& method);
  Outcome handle(const amqp::ExchangeBind& method);
  Outcome handle(const amqp::ExchangeUnbind& method);
  Outcome handle(const amqp::QueueDeclare& method);
  Outcome handle(const amqp::QueueBind& method);
  Outcome handle(const amqp::QueueUnbind& method);
  Outcome handle(const amqp::QueuePurge& method);
  Outcome handle(const amqp::QueueDelete& method);
  Outcome handle(const amqp::BasicQos& method);
  Outcome handle(const amqp::BasicConsume& method);
  Outcome handle(const amqp::BasicCancel& method);
  Outcome handle(const amqp::BasicPublish& method);
  Outcome handle(const amqp::BasicGet& method);
  Outcome handle(const amqp::BasicAck& method);
  Outcome handle(const amqp::BasicReject& method);
  Outcome handle(const amqp::BasicNack& method);
  Outcome handle(const amqp::BasicRecover& method);
  Outcome handle(const amqp::BasicRecoverAsync& method);
  Outcome handle(const amqp::ConfirmSelect& method);
  Outcome handle(const amqp::TxSelect& method);
  Outcome handle(const amqp::TxCommit& method);
  Outcome handle(const amqp::TxRollback& method);
  template <class Method>
  Outcome handle(const Method& method);

  broker::BrokerShard& broker();
  const broker::Vhost& vhost();
  broker::ChannelKey key() const;
  template <class Method>
  void send(const Method& method);
  Outcome check_permission(auth::Operation operation, std::string_view resource);

  // An empty name is the queue declared last on this channel.
  std::optional<std::string> queue_name(Bytes given) const;
  // The queue, unless it is missing (404) or another connection's (405).
  Outcome find_queue(const std::string& name, broker::QueueHandle*& handle);
  Outcome find_readable_queue(Bytes given, broker::QueueHandle*& handle);
  Outcome read_consumer_arguments(Bytes encoded, const broker::QueueHandle& queue,
                                  std::int32_t& priority);
  Outcome change_binding(bool add, storage::BindingDefinition definition, Waiting waiting,
                         bool nowait);

  Outcome publish();
  // The rest of publish(), when it is known where the message goes.
  Outcome publish_routed(const BlockRef& block);
  bool ask_for_duplicate(const BlockRef& block, Bytes headers);
  void give_up(const DedupClaim& claim);
  void give_up_deferred();
  Outcome on_duplicate_answer(const PendingRequest& pending, bool duplicate);
  bool knows_route() const;
  Outcome find_publish_route(const amqp::PropertiesView& properties);
  Outcome check_properties(const amqp::PropertiesView& properties);
  void return_unroutable(const BlockRef& block);
  Outcome defer_publish(BlockRef block);
  Outcome defer_settlements(broker::Settlement how);

  Outcome consume_replies(const amqp::BasicConsume& method);
  Outcome declare_reply_queue(std::string_view name, bool nowait);
  std::optional<broker::ChannelKey> find_reply_channel(std::string_view address);
  bool send_direct_replies(const BlockRef& block, bool ask);
  Outcome on_direct_reply_answer(const PendingRequest& pending, bool gone);

  void settle(const std::vector<UnackedDelivery>& deliveries, broker::Settlement how);
  Outcome settle_tag(std::uint64_t tag, bool multiple, broker::Settlement how);
  void recover();
  void answer_get(const PendingRequest& pending, const broker::Reply& reply);
  std::uint64_t track(const UnackedDelivery& delivery, bool no_ack);
  void set_shared_limit(std::uint16_t limit);
  void serve_asks();
  ConsumerRecord* find_consumer(std::string_view tag);
  Outcome refuse_consumer(std::string_view tag);
  void forget_consumer(ConsumerRecord& consumer);

  ConnectionSession& session_;
  const std::uint16_t number_;
  bool closing_ = false;
  std::string last_queue_;

  // Publishing
  ContentAssembler content_;
  bool confirming_ = false;
  const std::uint64_t confirm_offset_;  // the broker's publish numbers begin above it
  ConfirmTracker confirms_;
  // The last route, while the topology stands and the exchange does not look at headers.
  struct Route {
    std::uint64_t version = 0;
    std::string exchange;
    std::string routing_key;
    std::vector<broker::QueueHandle*> queues;
    std::optional<broker::DedupSettings> dedup;  // never of a remembered route
  } route_;

  std::optional<DeferredWork> tx_;  // set in tx mode
  // Of the publish that is under way: nobody else's message with this id passes.
  std::optional<DedupClaim> claim_;

  // Consuming
  std::optional<ReplyConsumer> reply_consumer_;
  // By their tags: a channel may have as many as there are queues.
  boost::unordered_flat_map<std::string_view, std::unique_ptr<ConsumerRecord>> consumers_;
  UnackedWindow unacked_;
  std::uint16_t prefetch_ = 0;      // for consumers that start from now on
  std::uint16_t shared_limit_ = 0;  // over all consumers of the channel; 0: none
  std::uint32_t limit_epoch_ = 0;   // counts how often the shared limit came or went
  std::uint64_t shared_unacked_ = 0;
  std::uint64_t shared_granted_ = 0;  // let through and not delivered yet
  std::deque<broker::ConsumerNumber> asks_;
  std::uint64_t used_shards_ = 0;  // a bit per shard that holds something for this channel
  std::vector<UnackedDelivery> scratch_;
};

}  // namespace warren::session
