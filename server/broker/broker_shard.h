// SPDX-License-Identifier: Apache-2.0
// One shard of the broker: its copy of the topology, the queues that live here, and the sessions
// that it serves. A pure state machine: calls and messages in, calls and messages out; it owns no
// thread, socket or clock.
//
// Work is done in turns: whoever drives the shard (a thread's loop, a test, the simulator) feeds it
// bytes and messages and then calls run_turn(), which drains the inbox, dispatches queues, tells
// the store, lets sessions write what they held back, and hands the outboxes over. A synchronous
// method is a request with a ticket; its answer comes through SessionSink::on_reply. Publishes,
// settlements and deliveries never wait.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "storage/engine/store.h"

#include "server/broker/broker_limits.h"
#include "server/broker/control_plane.h"
#include "server/broker/fanout_barrier.h"
#include "server/broker/queue/queue.h"
#include "server/broker/router.h"
#include "server/broker/session_sink.h"
#include "server/broker/shard_gauges.h"
#include "server/broker/shard_link.h"
#include "server/broker/topology.h"

namespace warren::broker {

struct BrokerShardParts {
  ShardIndex self = 0;
  unsigned shard_count = 1;
  ShardLink* link = nullptr;                              // borrowed
  ShardGauges* gauges = nullptr;                          // borrowed
  storage::ShardStore* store = nullptr;                   // borrowed; attached by the caller
  const Clock* clock = nullptr;                           // borrowed
  std::function<LogId(std::uint32_t count)> new_log_ids;  // control shard only
  BrokerLimits limits;
};

// How a publish went.
struct Published {
  unsigned queues = 0;            // reached
  unsigned pending_confirms = 0;  // on_confirmed calls that will come
};

// What tx.commit makes happen at once.
struct Transaction {
  struct Publish {
    BlockRef block;
    bool persistent = false;
    std::vector<const QueueHandle*> queues;
  };
  struct Settled {
    ShardIndex home = 0;
    SettleMessage::One one;
  };
  std::vector<Publish> publishes;
  std::vector<Settled> settled;
};

// Runs on: its thread. Owned by: server/app. Bound: BrokerLimits.
class BrokerShard final : public storage::StoreListener, private QueueHost, private ControlHost {
 public:
  explicit BrokerShard(BrokerShardParts parts);
  ~BrokerShard() override;

  // ---- start: before the first turn, the same on every shard ----
  void load(const std::vector<TopologyChange>& changes,
            const boost::unordered_flat_map<QueueId, storage::LogState>& states);
  // Users and permissions as they change; the shard's user store listens.
  std::function<void(const storage::DefinitionChange&)> on_access_changed;

  // ---- sessions ----
  ShardIndex index() const { return parts_.self; }
  unsigned shard_count() const { return parts_.shard_count; }
  const Topology& topology() const { return topology_; }
  ConnectionId new_connection_id();
  void add_session(SessionSink& session);
  // Gives back what the connection holds and removes its exclusive queues. `reply_to` with a
  // ticket: answered when they are gone.
  void remove_session(SessionSink& session);
  void release_connection(ConnectionId connection, bool exclusive_queues, ReplyTo reply_to);
  // on_turn_end() of this session is called in this turn.
  void mark_session(SessionSink& session);

  // Queues that the message reaches; valid until the topology changes.
  const std::vector<QueueHandle*>& route(const Vhost& vhost, Exchange& exchange,
                                         const RouteInput& input) {
    return router_.route(vhost, exchange, input);
  }
  // See Router::by_key().
  bool routed_by_key() const { return router_.by_key(); }
  // `confirm`, if given, is answered by as many on_confirmed calls as `pending_confirms` says: one
  // for each queue that keeps the message durably (S3).
  Published publish(const std::vector<QueueHandle*>& queues, const BlockRef& block, bool persistent,
                    const storage::CommitToken* confirm);
  void settle(ShardIndex home, QueueId queue, Place place, Settlement how);
  // Where the ids that an exchange has seen are kept.
  ShardIndex dedup_home(const std::string& vhost, const std::string& exchange) const;
  // Numbers the publishes that bring an id: unique in the process's life.
  std::uint64_t new_dedup_claim() {
    return (static_cast<std::uint64_t>(parts_.self) << ConnectionId::kNumberBits) | ++claims_;
  }
  // REQUIRES: this shard is the exchange's home.
  bool is_duplicate(const DedupRequest& request);
  // A DirectReply with this block is going to be sent: it counts as backlog of its receiver.
  void count_direct_reply(ShardIndex to, const Block& block) {
    parts_.gauges->add_inbound(to, static_cast<std::int64_t>(block.size()));
  }
  // All of it is one commit, over all queues and shards (B11). Returns how many answers come to
  // `reply_to` when it is durable; 0: there was nothing to do.
  unsigned commit(const Transaction& transaction, ReplyTo reply_to);
  // To a queue's home or to the control shard; in order with publishes and settlements to the same
  // shard.
  void send(ShardIndex to, ShardMessage message);
  static constexpr ShardIndex kControlShard = 0;

  // Publishers should not be read: the disk or another shard is behind.
  bool overloaded() const override {
    return parts_.gauges->backlog() > parts_.limits.backlog_bytes;
  }

  // One of these that wants its publishers to wait; none: QueueId{}.
  QueueId held_by(const std::vector<QueueHandle*>& queues) const {
    if (holding_.empty()) return QueueId{};
    for (const QueueHandle* queue : queues) {
      if (holding_.contains(queue->id)) return queue->id;
    }
    return QueueId{};
  }
  // Does that queue still want its publishers to wait?
  bool holds(QueueId queue) const { return holding_.contains(queue); }
  // How often a queue has let its publishers go on.
  std::uint64_t releases() const { return releases_; }

  // Who publishes to several queues should go on in the next turn: what few bytes of input are
  // copied to many queues would be the backlog's bound many times over.
  bool turn_is_full() const { return copied_bytes_ > kCopiedPerTurnBytes; }

  // Publishers should not be read: the disk is nearly full.
  bool disk_alarm() const { return parts_.gauges->disk_alarm(); }
  // Not yet: its first declare was not answered (B13).
  bool known_everywhere(const QueueHandle& queue) const {
    return queue.added_by <= parts_.gauges->known_everywhere();
  }

  static storage::CommitToken confirm_token(ConnectionId connection, std::uint16_t channel,
                                            std::uint64_t publish_seq);

  // ---- the driver ----
  void receive(ShardIndex from, std::vector<ShardMessage> batch);
  // Returns when to come again at the latest.
  Instant run_turn(Instant now);
  bool has_work() const;
  // No publish of several shards is on its way to one commit (S4).
  bool at_rest() const { return barrier_.is_idle(); }
  // Messages for other shards that the next turn hands over.
  bool has_output() const;

  // ---- statistics ----
  std::size_t queue_count() const { return queues_.size() + dormant_.size(); }
  // Recovered ones that nobody asked for since.
  std::size_t dormant_queue_count() const { return dormant_.size(); }
  std::size_t session_count() const { return sessions_.size(); }
  std::uint64_t transient_bytes() const { return static_cast<std::uint64_t>(transient_bytes_); }
  std::uint64_t window_bytes() const { return static_cast<std::uint64_t>(window_bytes_); }

  // StoreListener
  void on_committed(std::span<const storage::CommitToken> tokens) override;
  void on_stored(LogId log, Seq first, Seq last) override;
  void on_mark_raised(LogId log) override;

 private:
  // QueueHost
  std::int64_t now_ms() const override { return now_ms_; }
  void schedule(Queue& queue) override;
  void schedule_at(Queue& queue, std::int64_t when_ms) override;
  void deliver(const Consumer& consumer, Delivery delivery) override;
  void ask(const Consumer& consumer) override;
  void return_grant(const Consumer& consumer, std::uint32_t count) override;
  void reply(Reply reply) override;
  void reply_when_durable(Reply reply) override;
  void answer_publish(const storage::CommitToken& token, bool taken) override;
  void confirm_when_durable(const storage::CommitToken& token) override;
  void retry_later(Queue& queue) override;
  void cancel_consumer(const Consumer& consumer) override;
  void time_out_consumer(const Consumer& consumer, std::int64_t timeout_ms) override;
  void remove_unused(Queue& queue, Reply reply) override;
  void dead_letter(Queue& queue, Leaving leaving) override;
  void hold_publishers(Queue& queue, bool hold) override;
  storage::QueueLog& open_log(const storage::LogState& state, Queue& queue) override;
  void add_transient_bytes(std::int64_t bytes) override { transient_bytes_ += bytes; }
  bool transient_over_budget() const override {
    return transient_bytes_ > static_cast<std::int64_t>(parts_.limits.transient_bytes_per_shard);
  }
  void add_window_bytes(std::int64_t bytes) override { window_bytes_ += bytes; }
  bool windows_over_budget() const override {
    return window_bytes_ > static_cast<std::int64_t>(parts_.limits.windows_bytes_per_shard);
  }
  // ControlHost
  void broadcast(std::uint64_t operation, const std::vector<TopologyChange>& changes) override;
  void answer(Reply reply) override;
  void forward(ShardIndex to, ShardMessage message) override;
  void known_everywhere(std::uint64_t operation) override {
    parts_.gauges->set_known_everywhere(operation);
  }
  void commit(std::vector<storage::DefinitionChange> changes, std::uint64_t operation) override;
  LogId new_log_ids(std::uint32_t count) override { return parts_.new_log_ids(count); }

  // One overload per message that shards exchange.
  void on(PublishMessage& message);
  void on(HoldPublishers& message);
  void on(SettleMessage& message);
  void on(SyncRequest& message);
  void on(ConsumeRequest& message);
  void on(CancelRequest& message);
  void on(GetRequest& message);
  void on(PurgeRequest& message);
  void on(DeleteQueueRequest& message);
  void on(CountRequest& message);
  void on(CreditReturn& message);
  void on(Grant& message);
  void on(ShareLimit& message);
  void on(HolderGone& message);
  void on(Reply& message);
  void on(Delivery& message);
  void on(Confirmed& message);
  void on(Refused& message);
  void on(ConsumerTimedOut& message);
  void on(ConsumerCancelled& message);
  void on(Ask& message);
  void on(GrantReturn& message);
  void on(DirectReply& message);
  void on(DedupRequest& message);
  void on(DedupForget& message);
  void on(Apply& message);
  void on(Marker&) {}  // see drain_inbox
  template <class ControlMessage>
  void on(ControlMessage& message);

  void apply(const std::vector<TopologyChange>& changes, std::uint64_t operation);
  void load_queue(const QueueDefinitionPtr& definition,
                  const boost::unordered_flat_map<QueueId, storage::LogState>& states);
  Queue& create_queue(const QueueDefinitionPtr& definition,
                      const std::vector<storage::LogState>& recovered);
  Queue* wake_queue(QueueId id);
  void destroy_queue(const QueueRemoved& removed);
  void change_settings(const std::string& vhost_name);
  Queue* find_queue(QueueId id);
  Queue* find_queue_of(LogId log);
  SessionSink* find_session(ConnectionId id);
  void confirm(const storage::CommitToken& token);
  void refuse(const storage::CommitToken& token);
  void settle_here(QueueId queue, Place place, Settlement how);
  void remember_holder(ConnectionId connection, Queue& queue);
  Published publish_to_one(const QueueHandle& handle, const BlockRef& block, bool persistent,
                           const storage::CommitToken* confirm);
  void publish_here(const std::vector<QueueHandle*>& queues, const BlockRef& block,
                    const BodyId& body, bool persistent, const storage::CommitToken* confirm,
                    bool several_shards);
  BodyId share(const Block& block, unsigned kept_count);
  void commit_part(ShardIndex shard, const Transaction& transaction,
                   const std::vector<BodyId>& bodies, bool several_shards);
  bool own_publishes_wait() const;
  void hold_part();
  void tell_holder(QueueId queue);
  void tell_uncommitted() {
    parts_.gauges->set_uncommitted(parts_.self, parts_.store->uncommitted_bytes());
  }
  void drain_inbox();
  void end_epoch();
  void begin_epoch();
  void retry_reads(Instant now);
  void ring_alarms();
  Instant next_alarm(Instant now) const;
  void give_answers();
  // dead_letters.cc
  struct DeadLetterTask {
    QueueId queue;
    Leaving leaving;
  };
  void bury(Queue& queue, const Leaving& leaving);
  void bury_deferred();
  BlockRef route_dead_letter(const Queue& queue, const Leaving& leaving,
                             std::vector<QueueHandle*>& targets);
  void spread(const std::vector<QueueHandle*>& targets, const BlockRef& block, bool source_durable);
  void dispatch_queues();
  void end_sessions_turn();
  void hand_over();
  void post(ShardIndex to, ShardMessage message);
  void flush_settled(ShardIndex to);
  static Reply missing_queue(const ReplyTo& to);

  BrokerShardParts parts_;
  Topology topology_;
  Router router_;
  std::unique_ptr<ControlPlane> control_;  // on the control shard only
  boost::unordered_flat_map<QueueId, std::unique_ptr<Queue>> queues_;
  // Recovered, and nobody asked for it since: it is made when somebody does. Until then only its
  // home shard's map knows more of it than its definition, so that a start costs little per queue.
  struct Dormant {
    QueueDefinitionPtr definition;
    std::vector<storage::LogState> logs;
  };
  boost::unordered_flat_map<QueueId, Dormant> dormant_;
  QueueId last_queue_id_;  // the last one looked up: settlements come in runs
  Queue* last_queue_ = nullptr;
  boost::unordered_flat_map<std::uint64_t, SessionSink*> sessions_;
  // Queues of this shard that a connection consumes from, or got from.
  boost::unordered_flat_map<std::uint64_t, boost::unordered_flat_set<QueueId>> holders_;
  using Alarm = std::pair<std::int64_t, QueueId>;
  struct Incoming {
    ShardIndex from = 0;
    ShardMessage message;
  };
  std::vector<Incoming> inbox_;
  ShardIndex receiving_from_ = 0;  // whose message it is that is being taken
  FanoutBarrier barrier_;
  // Own publishes that went through the inbox, to stay behind the ones put aside there.
  std::size_t own_publishes_queued_ = 0;
  struct Outbox {
    std::vector<ShardMessage> messages;
    std::vector<SettleMessage::One> settled;      // not yet in `messages`
    std::vector<storage::CommitToken> confirmed;  // not yet in `messages`
    std::vector<storage::CommitToken> refused;    // not yet in `messages`
  };
  std::vector<Outbox> outboxes_;
  // Queues, wherever they live, whose publishers here wait.
  boost::unordered_flat_set<QueueId> holding_;
  // Of the queues here that hold: the shards that were told, a bit for each.
  boost::unordered_flat_map<QueueId, std::uint64_t> told_to_hold_;
  std::uint64_t releases_ = 0;
  std::vector<QueueId> scheduled_;
  boost::unordered_flat_set<QueueId> is_scheduled_;
  std::vector<std::uint64_t> marked_sessions_;
  boost::unordered_flat_set<std::uint64_t> released_;  // connections whose session lingers on
  std::int64_t now_ms_ = 0;                            // wall clock of this turn
  // Queues to be dispatched by the wall clock; the earliest first. Some have nothing to do by then.
  std::priority_queue<Alarm, std::vector<Alarm>, std::greater<>> alarms_;
  boost::unordered_flat_map<LogId, QueueId> lanes_;  // further logs of queues with priorities
  std::vector<std::pair<storage::CommitToken, bool>> answers_;  // to publishes; taken or refused
  std::deque<DeadLetterTask> dead_letters_;                     // for the next epoch
  boost::unordered_flat_map<std::pair<std::string, std::string>, DedupCache>
      dedup_caches_;  // by vhost and exchange
  std::uint64_t claims_ = 0;
  std::uint64_t copied_bytes_ = 0;  // of publishes to several queues, since the last turn
  std::vector<QueueId> failed_reads_;
  Instant retry_reads_at_ = Instant::max();
  boost::unordered_flat_map<std::uint64_t, Reply> durable_replies_;
  std::uint64_t next_durable_reply_ = 1;
  std::uint64_t next_connection_ = 1;
  std::int64_t transient_bytes_ = 0;
  std::int64_t window_bytes_ = 0;
};

}  // namespace warren::broker
