// SPDX-License-Identifier: Apache-2.0
// One queue on its home shard: takes messages, hands them to consumers, settles them.
// Knows nothing of exchanges, sessions or bytes on the wire; storage is a QueueLog, everything else
// a QueueHost. Keeps: B1 to B4, B8 (server/broker/INVARIANTS.md), R13.
//   queue.cc          lifecycle, counts, purge
//   queue_publish.cc  accept, store or page
//   queue_deliver.cc  match ready messages with consumers' room
//   queue_settle.cc   ack, requeue, holders that vanish
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "storage/engine/queue_log.h"

#include "server/broker/queue/consumer.h"
#include "server/broker/queue/consumer_ring.h"
#include "server/broker/queue/ready_store.h"
#include "server/broker/shard_messages.h"

namespace warren::broker {

class Queue;

// What a queue asks of its shard. Runs on: the queue's shard.
class QueueHost {
 public:
  virtual ~QueueHost() = default;
  // dispatch() is called once before the turn ends.
  virtual void schedule(Queue& queue) = 0;
  virtual void deliver(const Consumer& consumer, Delivery delivery) = 0;
  virtual void ask(const Consumer& consumer) = 0;
  virtual void return_grant(const Consumer& consumer, std::uint32_t count) = 0;
  virtual void reply(Reply reply) = 0;
  // The reply leaves when everything said to the store so far is durable.
  virtual void reply_when_durable(Reply reply) = 0;
  // A read failed: schedule() after a while.
  virtual void retry_later(Queue& queue) = 0;
  virtual void cancel_consumer(const Consumer& consumer) = 0;
  // An auto-delete queue lost its last consumer, by cancel (answered with `reply`) or otherwise.
  virtual void remove_unused(Queue& queue, Reply reply) = 0;
  // The queue's log; opened at its first use for a queue that is not durable.
  virtual storage::QueueLog& open_log(const storage::LogState& state) = 0;

  // Messages that are in memory only, over all queues of the shard.
  virtual void add_transient_bytes(std::int64_t bytes) = 0;
  virtual bool transient_over_budget() const = 0;
};

class Queue {
 public:
  // `recovered`: what the store knew of the queue at start; its messages are on disk.
  Queue(QueueHost& host, storage::QueueDefinition definition, std::uint64_t window_bytes,
        const storage::LogState* recovered);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  QueueId id() const { return definition_.log; }
  const storage::QueueDefinition& definition() const { return definition_; }
  bool has_log() const { return log_ != nullptr; }
  bool durable() const { return definition_.durable && !definition_.exclusive; }
  std::uint64_t ready_count() const { return ready_.count(); }
  std::uint64_t unacked_count() const { return unacked_.size(); }
  std::uint32_t consumer_count() const { return static_cast<std::uint32_t>(by_number_.size()); }
  // Set when its removal is under way: nothing new attaches.
  bool removing() const { return removing_; }
  void set_removing() { removing_ = true; }

  // ---- publish ----
  // `confirm`, given for a message that this queue keeps durably, comes back through the store.
  void enqueue(BlockRef block, bool persistent, const storage::CommitToken* confirm);
  void on_stored(Seq first, Seq last);

  // ---- deliver ----
  // Answers through the host: consume-ok, or why not.
  void consume(const ConsumeRequest& request);
  void cancel(const CancelRequest& request);
  void get(const GetRequest& request);
  void grant(const Grant& grant);
  void share_limit(const ShareLimit& change);
  void return_credit(const CreditReturn& credit);
  void dispatch();
  void on_mark_raised();

  // ---- settle ----
  void settle(Seq seq, Settlement how);
  void holder_gone(ChannelKey holder);

  // Removes the ready messages and answers with their number; unacked ones stay.
  void purge(const PurgeRequest& request);
  void count(const ReplyTo& reply_to) const;
  // The queue was deleted: consumers are told.
  void cancel_all_consumers();
  // Connections that consumed or got here and are not gone.
  const boost::unordered_flat_set<std::uint64_t>& holders() const { return holders_; }
  void add_holder(ConnectionId connection) { holders_.insert(connection.value); }

 private:
  friend class QueueTestPeer;

  struct Unacked {
    BlockRef block;
    Consumer* consumer = nullptr;
    Kept kept = Kept::memory;
  };

  storage::QueueLog& log();
  std::optional<amqp::AmqpError> refuse_consume(const ConsumeRequest& request) const;
  Consumer* find_consumer(ChannelKey channel, ConsumerNumber number);
  Consumer& getter(ChannelKey channel);
  void forget(const ReadyMessage& message);
  void forget(Seq seq, const Block& block, Kept kept);
  bool front_deliverable();
  void serve_gets();
  void answer_get(const GetRequest& request);
  void deliver_front(Consumer& consumer);
  bool admitted(Consumer& consumer);
  void return_unused_grants();
  void read_ahead();
  void on_read(Result<storage::ReadResult> result);
  void requeue(Seq seq, Unacked unacked);
  void drop_consumer(Consumer& consumer);
  void collect_consumers();
  void check_unused(Reply reply);
  void fail_waiting(const std::string& why);
  void do_purge(const PurgeRequest& request);
  std::uint32_t clamped_ready_count() const;

  QueueHost& host_;
  storage::QueueDefinition definition_;
  storage::QueueLog* log_ = nullptr;
  Seq next_seq_ = 1;
  Seq recovered_mark_ = 0;  // what is not above may have been delivered before the restart (B4)
  ReadyStore ready_;
  boost::unordered_flat_map<Seq, Unacked> unacked_;
  std::vector<std::unique_ptr<Consumer>>
      consumers_;  // cancelled ones too, while they hold messages
  // By connection and number; not the cancelled ones, not those that stand for gets.
  boost::unordered_flat_map<std::pair<std::uint64_t, ConsumerNumber>, Consumer*> by_number_;
  bool had_consumer_ = false;
  boost::unordered_flat_set<std::uint64_t> holders_;
  ConsumerRing ring_;
  std::deque<GetRequest> gets_;
  std::vector<PurgeRequest> purges_;  // waiting for the read that is under way
  bool reading_ = false;
  bool removing_ = false;
  std::uint32_t grants_out_ = 0;
};

}  // namespace warren::broker
