// SPDX-License-Identifier: Apache-2.0
// One queue on its home shard: takes messages, hands them to consumers, settles them, and lets them
// go when they expire or are too many. Knows nothing of exchanges, sessions or bytes on the wire;
// storage is a QueueLog, everything else a QueueHost. Keeps: B1 to B4, B8 to B12
// (server/broker/INVARIANTS.md), R13.
//   queue.cc          lifecycle, settings, counts, purge
//   queue_publish.cc  accept or refuse, store or page
//   queue_consume.cc  consumers come and go
//   queue_deliver.cc  match ready messages with consumers' room
//   queue_read.cc     what is on disk only comes back
//   queue_settle.cc   ack, requeue, holders that vanish
//   queue_expire.cc   time to live, length limits, time-outs
//   queue_flow.cc     publishers wait for consumers that keep up, nearly
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <boost/container/deque.hpp>
#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "storage/engine/queue_log.h"

#include "server/broker/dead_letter.h"
#include "server/broker/queue/consumer.h"
#include "server/broker/queue/consumer_ring.h"
#include "server/broker/queue/lane.h"
#include "server/broker/queue_settings.h"
#include "server/broker/shard_messages.h"

namespace warren::broker {

class Queue;

// A message on its way out of a queue, and perhaps into others.
struct Leaving {
  Place place = 0;
  ReadyMessage message;
  DeathReason reason = DeathReason::rejected;
  bool never_was_here = false;  // refused at the door
};

// What a queue asks of its shard. Runs on: the queue's shard.
class QueueHost {
 public:
  virtual ~QueueHost() = default;
  // Wall clock, ms; the same during a turn.
  virtual std::int64_t now_ms() const = 0;
  // dispatch() is called once before the turn ends.
  virtual void schedule(Queue& queue) = 0;
  // ... or when the wall clock says `when_ms`.
  virtual void schedule_at(Queue& queue, std::int64_t when_ms) = 0;
  virtual void deliver(const Consumer& consumer, Delivery delivery) = 0;
  virtual void ask(const Consumer& consumer) = 0;
  virtual void return_grant(const Consumer& consumer, std::uint32_t count) = 0;
  virtual void reply(Reply reply) = 0;
  // The reply leaves when everything said to the store so far is durable.
  virtual void reply_when_durable(Reply reply) = 0;
  // A publish that waits for this queue's answer: taken without the disk, or refused.
  virtual void answer_publish(const storage::CommitToken& token, bool taken) = 0;
  // The token comes back when everything said to the store so far is durable.
  virtual void confirm_when_durable(const storage::CommitToken& token) = 0;
  // A read failed: schedule() after a while.
  virtual void retry_later(Queue& queue) = 0;
  virtual void cancel_consumer(const Consumer& consumer) = 0;
  // The consumer kept a delivery for longer than its queue allows.
  virtual void time_out_consumer(const Consumer& consumer, std::int64_t timeout_ms) = 0;
  // An auto-delete queue lost its last consumer, by cancel (answered with `reply`) or otherwise, or
  // the queue was not used for its x-expires.
  virtual void remove_unused(Queue& queue, Reply reply) = 0;
  // Routes the message to where dead letters of this queue go and then calls Queue::let_go(), in
  // one commit (B10); perhaps later in this turn or in a next one.
  virtual void dead_letter(Queue& queue, Leaving leaving) = 0;
  // Whoever publishes to this queue is not read until this is taken back.
  virtual void hold_publishers(Queue& queue, bool hold) = 0;
  // Work that no client waits for should pause: the disk is behind.
  virtual bool overloaded() const = 0;
  // A log of the queue; opened at its first use if there is nothing in it.
  virtual storage::QueueLog& open_log(const storage::LogState& state, Queue& queue) = 0;

  // Messages that are in memory only, over all queues of the shard.
  virtual void add_transient_bytes(std::int64_t bytes) = 0;
  virtual bool transient_over_budget() const = 0;
  // Ready messages in memory, over all queues of the shard.
  virtual void add_window_bytes(std::int64_t bytes) = 0;
  virtual bool windows_over_budget() const = 0;
};

class Queue {
 public:
  // `recovered`: what the store knew of the queue's logs at start; their messages are on disk.
  Queue(QueueHost& host, QueueDefinitionPtr definition, QueueSettingsPtr settings,
        std::uint64_t window_bytes, const std::vector<storage::LogState>& recovered);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Of a queue that is recovered: does something in it happen by the clock, or at once, though
  // nobody uses it?
  static bool acts_by_itself(const QueueSettings& settings,
                             const std::vector<storage::LogState>& recovered);

  QueueId id() const { return definition_->log; }
  const storage::QueueDefinition& definition() const { return *definition_; }
  const QueueSettings& settings() const { return *settings_; }
  // A policy changed: in force at once.
  void change_settings(QueueSettingsPtr settings);
  // The logs that were opened.
  std::vector<LogId> open_logs() const;
  bool durable() const { return definition_->durable && !definition_->exclusive; }
  std::uint64_t ready_count() const;
  std::uint64_t unacked_count() const { return unacked_.size(); }
  // Neither ready nor unacked: they came back and wait (x-delayed-retry-type).
  std::uint64_t waiting_count() const { return waiting_.size(); }
  std::uint32_t consumer_count() const { return static_cast<std::uint32_t>(by_number_.size()); }
  // Set when its removal is under way: nothing new attaches.
  bool removing() const { return removing_; }
  void set_removing() { removing_ = true; }

  // ---- publish ----
  // `confirm`, if given, is answered: through the store for a message that this queue keeps
  // durably, through the host for one that it keeps otherwise or refuses.
  void enqueue(BlockRef block, bool persistent, const storage::CommitToken* confirm,
               const BodyId& body = {});
  void on_stored(LogId log, Seq first, Seq last);
  // Its publishers are to wait.
  bool holds_publishers() const { return holds_publishers_; }

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
  void settle(Place place, Settlement how);
  void holder_gone(ChannelKey holder);
  // The end of a dead-lettering: the message is elsewhere, or nowhere. With the commit that is
  // being gathered it is gone from here.
  void let_go(const Leaving& leaving);

  // Removes the ready messages and answers with their number; unacked ones stay.
  void purge(const PurgeRequest& request);
  // A queue.declare of the queue, which counts as use, or a passive one.
  void count(const CountRequest& request);
  // The queue was deleted: consumers are told.
  void cancel_all_consumers();
  // Connections that consumed or got here and are not gone.
  const boost::unordered_flat_set<std::uint64_t>& holders() const { return holders_; }
  void add_holder(ConnectionId connection) { holders_.insert(connection.value); }

 private:
  friend class QueueTestPeer;

  struct Unacked {
    ReadyMessage message;
    Consumer* consumer = nullptr;
    std::int64_t delivered_ms = 0;
  };

  // queue.cc
  void recover(const storage::LogState& state);
  storage::QueueLog& log(Lane& lane);
  Lane& lane(std::size_t index);
  Lane* lane_with(LogId log);
  Lane* top_lane();
  bool is_delayed() const { return !settings_->delayed_exchange.empty(); }
  void forget(Lane& lane, const ReadyMessage& message);
  void finish_purge();
  void purge_lane(Lane& lane);
  std::uint32_t clamped_ready_count() const;
  void touch();
  std::uint64_t lane_window_bytes() const;
  void fit_windows();

  // queue_publish.cc
  bool refuses(const Block& block) const;
  bool is_duplicate(const Block& block);
  void describe(ReadyMessage& message) const;
  void refuse_to_dead_letter(BlockRef block);

  // queue_consume.cc
  std::optional<amqp::AmqpError> refuse_consume(const ConsumeRequest& request) const;
  Consumer* find_consumer(ChannelKey channel, ConsumerNumber number);
  Consumer& getter(ChannelKey channel);
  bool may_be_active(const Consumer& consumer) const;
  void choose_active();
  void ready_consumer(Consumer& consumer);
  void drop_consumer(Consumer& consumer);
  void collect_consumers();
  void check_unused(Reply reply);

  // queue_deliver.cc
  bool front_deliverable();
  void serve_gets();
  void answer_get(const GetRequest& request);
  void deliver_to_consumers();
  void deliver_front(Consumer& consumer);
  ReadyMessage take_front(Lane& lane);
  void hold(Lane& lane, ReadyMessage message, Consumer& consumer);
  bool admitted(Consumer& consumer);
  void return_unused_grants();

  // queue_read.cc
  void read_ahead();
  void on_read(Lane& lane, Result<storage::ReadResult> result);
  std::optional<ReadyMessage> accept_stored(Lane& lane, storage::StoredMessage stored);
  void read_failed(std::string& told, const Error& error);
  void read_worked(std::string& told);
  void fail_gets(const std::string& why);

  // queue_settle.cc
  void requeue(Place place, Unacked unacked, Settlement how);
  void leave(Lane& lane, ReadyMessage message, DeathReason reason);

  // queue_retry.cc
  std::int64_t retry_delay_ms(const ReadyMessage& message, Settlement how) const;
  void wait(Lane& lane, ReadyMessage message, std::int64_t delay_ms);
  void end_waits();
  void end_all_waits();

  // queue_expire.cc
  void expire(bool also_now);
  void expire_heads(std::int64_t before_ms);
  void expire_indexed(Lane& lane, std::int64_t before_ms);
  void on_fetched(Lane& lane, const std::vector<storage::DueEntry>& wanted,
                  Result<std::vector<storage::StoredMessage>> result);
  void fetch_expired(Lane& lane);
  void close_empty_gap(Lane& lane);
  void refill_expiry(Lane& lane);
  void drop_overflow();
  bool is_over_limit() const;
  void check_time_outs();
  void check_expires();
  void set_alarm();

  // queue_flow.cc
  void fit_publishers();
  bool is_ahead() const;

  QueueHost& host_;
  QueueDefinitionPtr definition_;
  QueueSettingsPtr settings_;
  const std::uint64_t window_bytes_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // by priority; made when they are first used
  boost::unordered_flat_map<Place, Unacked> unacked_;
  // What came back and is ready again at a time.
  struct Waiting {
    Lane* lane = nullptr;
    ReadyMessage message;
  };
  std::multimap<std::int64_t, Waiting> waiting_;
  // Cancelled ones too, while they hold messages.
  std::vector<std::unique_ptr<Consumer>> consumers_;
  // By connection and number; not the cancelled ones, not those that stand for gets.
  boost::unordered_flat_map<std::pair<std::uint64_t, ConsumerNumber>, Consumer*> by_number_;
  Consumer* active_ = nullptr;  // of a queue with a single active consumer
  bool had_consumer_ = false;
  std::optional<DedupCache> seen_;  // of a queue that drops duplicates
  boost::unordered_flat_set<std::uint64_t> holders_;
  ConsumerRing ring_;
  boost::container::deque<GetRequest> gets_;
  std::vector<PurgeRequest> purges_;  // waiting for the reads that are under way
  bool removing_ = false;
  std::uint32_t grants_out_ = 0;
  std::int64_t used_ms_ = 0;                      // last consumer, get or declare (x-expires)
  std::int64_t alarm_ms_ = kNoDeadline;           // the next schedule_at() under way
  std::int64_t oldest_unacked_ms_ = kNoDeadline;  // no unacked delivery is older
  std::uint64_t window_bytes_told_ = 0;           // to the host
  unsigned drops_left_ = 0;                       // in this dispatch
  std::uint32_t full_consumers_ = 0;              // is_full(), not the cancelled ones
  bool holds_publishers_ = false;
  std::int64_t taken_ms_ = 0;  // when a consumer last gave back credit
};

}  // namespace warren::broker
