// SPDX-License-Identifier: Apache-2.0
// A client of the simulation that does one random legal thing at a time and tells the ledger what
// it sent, what the session took of it, and what came back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/sim/ledger.h"
#include "tests/support/sim_client.h"

namespace warren::test {

// How a run is shaped; drawn from its seed.
struct SimShape {
  unsigned shards = 1;
  unsigned actors = 3;
  unsigned durable_queues = 3;
  bool floods = false;       // thousands of small messages at once
  bool large_bodies = true;  // up to 300 kB
  std::set<SimQueueIndex> no_ack_queues;
  std::vector<std::vector<SimQueueIndex>> fan_outs;  // by binding
  // Of the queues that stay, behind the others; the last two are plain: where an alternate exchange
  // leads to, and the dead letters. Empty: there are none.
  std::vector<SimFeatures> staying;

  SimQueueIndex passing() const { return durable_queues; }
  SimQueueIndex first_staying() const { return durable_queues + 1; }
  SimQueueIndex side() const {
    return first_staying() + static_cast<SimQueueIndex>(staying.size()) - 2;
  }
  SimQueueIndex dead() const { return side() + 1; }
};

// Exchanges that stay as well.
inline constexpr const char* kSimDelayed = "later";  // leads to `side` by any key
inline constexpr const char* kSimAlternate =
    "perhaps";  // key "a": the first that stays, else `side`

// What all actors of a run share.
struct SimStage {
  SimBroker& broker;
  SimLedger& ledger;
  const SimShape& shape;
  std::mt19937_64& random;
  std::uint64_t next_publisher = 1;
  SimGroup next_transaction = 1;

  std::uint64_t draw(std::uint64_t below) { return random() % below; }
  bool chance(std::uint64_t percent) { return draw(100) < percent; }
};

std::string sim_body(SimMessageId id, std::size_t size);
std::string binding_key(int binding);

class SimActor {
 public:
  SimActor(SimStage& stage, std::uint32_t number, ShardIndex shard);

  void act();
  // After each step of the broker; first the one for all actors, then the other.
  void note_taken();
  // The broker closed a channel: what it held may have gone to another client in the same turn, so
  // this is noted before the others'.
  void note_lost_channels();
  void note_received();

  bool gone() const { return client_ == nullptr; }
  // The socket vanishes.
  void vanish();
  // The broker is about to crash or stop: the client goes with it.
  void abandon();
  void resume_reading() { client_->resume_reading(); }

  // ---- at rest ----
  // Says what is missing, such as an answer; empty: nothing.
  std::string unfinished() const;
  unsigned consumers_of(SimQueueIndex queue) const;
  bool could_take_from(SimQueueIndex queue) const;
  void note_consumed_queues();

 private:
  struct Held {
    SimMessageId id = 0;
    SimQueueIndex queue = 0;
    std::string consumer;  // empty: basic.get
  };
  struct Consumer {
    SimQueueIndex queue = 0;
    bool no_ack = false;
    std::uint16_t prefetch = 0;
  };
  enum class Wait : std::uint8_t {
    none,
    declare,
    bind,
    remove,
    purge,
    consume,
    cancel,
    get,
    qos,
    recover,
    commit,
    rollback,
  };
  // What the session took, in the order of the stream to it.
  enum class Taken : std::uint8_t {
    publish,
    deferred_publish,  // in a transaction
    settle,
    reject,
    give_back,
    commit,
    rollback,
    close_channel,
    close_connection,
  };
  struct Op {
    std::uint64_t end = 0;  // position in the stream
    Taken what = Taken::publish;
    std::uint16_t channel = 0;
    SimMessageId id = 0;
    std::vector<std::uint64_t> tags = {};
    SimGroup transaction = 0;
    std::vector<Op> parts = {};  // of the transaction that ends
  };
  struct Channel {
    enum class State : std::uint8_t { closed, open, closing } state = State::closed;
    bool close_taken = false;
    bool lost = false;  // channel.close came; what came before is still to be heard
    bool confirms = false;
    bool transacts = false;
    std::vector<Op> deferred;  // in the transaction
    SimGroup transaction = 0;  // that is being committed
    std::uint64_t publisher = 0;
    std::uint64_t next_publish = 1;
    std::map<std::uint64_t, SimMessageId> unconfirmed;
    std::map<std::uint64_t, Held> held;     // by tag; not those whose settlement is under way
    std::map<std::uint64_t, Held> leaving;  // or deferred
    std::map<std::string, Consumer> consumers;
    std::set<SimQueueIndex> used;  // by consumers or gets
    std::uint16_t prefetch = 0;
    std::uint16_t shared_limit = 0;
    // What it waits for.
    Wait wait = Wait::none;
    SimQueueIndex queue = 0;
    std::uint32_t generation = 0;
    bool certain = false;  // that the queue is there, when the request was sent
    bool no_ack = false;
    int binding = -1;
    std::uint16_t limit = 0;
    std::string tag;
    SimLedger::Purge purge;
  };
  static constexpr std::uint16_t kChannels = 3;

  // Doing; actor_send.cc
  void open_channel(std::uint16_t number);
  void publish(std::uint16_t number);
  void publish_one(std::uint16_t number, std::size_t body_size);
  std::size_t draw_body_size();
  void draw_route(SimPublish& publish, PublishOptions& options);
  void settle(std::uint16_t number);
  void consume(std::uint16_t number);
  void cancel(std::uint16_t number);
  void get(std::uint16_t number);
  void set_qos(std::uint16_t number);
  void recover(std::uint16_t number);
  void declare(std::uint16_t number);
  void bind(std::uint16_t number);
  void remove(std::uint16_t number);
  void purge(std::uint16_t number);
  void end_transaction(std::uint16_t number);
  void close_channel(std::uint16_t number);
  void close_connection();
  void act_on(std::uint16_t number);
  void note(Op op);
  void wait_for(Channel& channel, Wait what, SimQueueIndex queue);
  SimQueueIndex draw_queue();
  bool ledger_full() const;

  // Hearing; actor_receive.cc
  void on_taken(const Op& op, SimGroup transaction);
  void on_received(const Received& received);
  void on_answer(Channel& channel, const Received& received);
  bool answers(Channel& channel, const Received& received);
  void on_message(std::uint16_t number, const Received& received, const std::string& consumer,
                  std::uint64_t tag, bool redelivered);
  void on_confirm(Channel& channel, std::uint64_t tag, bool multiple, bool acked);
  void on_return(const Received& received);
  void on_channel_close(std::uint16_t number, const Received& received);
  SimMessageId message_of(const Received& received);
  void check_order(SimMessageId id, SimQueueIndex queue);
  // The channel lets go of everything; what waits for an answer gets none.
  void release(Channel& channel);
  void abandon_wait(Channel& channel);

  SimStage& stage_;
  const std::uint32_t number_;
  SimClient* client_;
  bool closing_ = false;             // connection.close was sent
  Channel channels_[kChannels + 1];  // by number, from 1
  std::deque<Op> ops_;
  // By queue, publisher and priority.
  std::map<std::tuple<SimQueueIndex, std::uint64_t, unsigned>, SimMessageId> last_first_;
  std::uint64_t next_tag_ = 1;
};

}  // namespace warren::test
