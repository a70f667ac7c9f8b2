// SPDX-License-Identifier: Apache-2.0
// The oracle of the simulation: where every copy of every message must be, may be and cannot be.
// The simulation sees when a session took an operation, so that most is known exactly; what a
// crash, a vanished client, a topology change under way or the clock leaves open is a set of
// alternatives, narrowed by what is seen. (tests/support/message_ledger is the coarser one for a
// broker in another process.)
//
// A copy is in one place at a time, in this direction, and a power loss takes it back to any place
// it had since the last rest:
//
//   waiting (delayed) -> here (its queue) -> there (dead-lettered) -> nowhere
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/clock.h"

namespace warren::test {

using SimMessageId = std::uint64_t;  // from 1, in the order of publishing
using SimQueueIndex = std::uint32_t;
using SimGroup = std::uint64_t;  // a transaction; 0: none

enum class Existence : std::uint8_t {
  absent,     // for certain
  declaring,  // a declaration was sent
  present,    // declare-ok was seen
  deleting,   // a deletion was sent
};

// Alternatives, as bits.
using Places = std::uint8_t;
inline constexpr Places kNowhere = 1;  // it never got in, or left for good
inline constexpr Places kRefused = 2;  // by a queue that was full
inline constexpr Places kWaiting = 4;  // with the delayed-message exchange
inline constexpr Places kHere = 8;     // in the queue that it was sent to
inline constexpr Places kThere = 16;   // in the queue of that one's dead letters
inline constexpr Places kSomewhere = kWaiting | kHere | kThere;

inline constexpr std::int64_t kNever = INT64_MAX;

// Where a publish goes. Without a binding: nothing that can go away stands in between.
struct SimTarget {
  SimQueueIndex queue = 0;
  int binding = -1;
};

struct SimPublish {
  std::uint64_t publisher = 0;
  bool persistent = false;
  std::size_t body_size = 0;
  unsigned priority = 0;
  std::int64_t expiration_ms = kNever;
  std::int64_t delay_ms = 0;
  std::vector<SimTarget> targets;
};

// What a queue was declared with.
struct SimFeatures {
  bool permanent = false;  // the simulation's: clients neither declare nor delete it
  unsigned max_priority = 0;
  std::int64_t ttl_ms = kNever;
  unsigned max_length = 0;  // 0: none
  bool refuses = false;     // above it, in place of dropping the head
  std::optional<unsigned> delivery_limit;
  std::optional<SimQueueIndex> dead_letters;
};

class SimLedger {
 public:
  explicit SimLedger(const Clock& clock) : clock_(clock) {}

  struct Queue {
    std::string name;
    bool durable = true;
    SimFeatures features;
    Existence existence = Existence::absent;
    std::uint32_t generation = 0;       // grows with each incarnation
    unsigned changes = 0;               // declarations or deletions under way
    unsigned binds = 0;                 // under way
    bool unresolved = false;            // of a client that did not wait for the answer
    std::map<int, Existence> bindings;  // by key; deleting is not used
    bool losing = false;                // until the next rest anything not held may vanish
    bool consumed = false;              // a delivery may be under way, or was since the last rest
    bool vanished = false;              // a holder vanished since the last rest
    bool uncounted = false;             // as vanished: returns may have been counted unseen
    std::set<SimMessageId> copies;      // that are, or may come here
  };

  SimQueueIndex add_queue(std::string name, bool durable, SimFeatures features = {});
  Queue& queue(SimQueueIndex index) { return queues_[index]; }
  std::size_t queue_count() const { return queues_.size(); }

  // ---- publishing ----
  SimMessageId published(const SimPublish& publish);
  // The session has it, whole: it was routed, and is in the queues unless a transaction keeps it.
  void routed(SimMessageId id);
  void entered(SimMessageId id, SimGroup group);
  void confirmed(SimMessageId id);  // the broker said so
  void refused(SimMessageId id);    // basic.nack
  void returned(SimMessageId id);   // as unroutable
  void committed(SimGroup group);   // commit-ok
  std::size_t body_size(SimMessageId id) const { return messages_.at(id).what.body_size; }
  std::uint64_t publisher(SimMessageId id) const { return messages_.at(id).what.publisher; }
  bool known(SimMessageId id) const { return messages_.contains(id); }
  // The priority that it has in this queue.
  unsigned lane(SimMessageId id, SimQueueIndex queue) const;
  // Does it come in its publisher's order? Neither delayed messages do nor dead letters.
  bool ordered(SimMessageId id, SimQueueIndex queue) const;

  // ---- consuming; `holder` 0: nobody holds it, it needs no ack ----
  void delivered(SimMessageId id, SimQueueIndex queue, std::uint32_t holder, bool redelivered);
  // Delivered to a channel that the broker closed in the same turn: it goes back, and may have gone
  // on to somebody else already.
  void glimpsed(SimMessageId id, SimQueueIndex queue);
  void settled(SimMessageId id, SimQueueIndex queue, SimGroup group = 0);
  void rejected(SimMessageId id, SimQueueIndex queue, SimGroup group = 0);
  void given_back(SimMessageId id, SimQueueIndex queue);
  // A client that took from it is gone.
  void holder_vanished(SimQueueIndex queue);

  // ---- topology ----
  void declare_sent(SimQueueIndex index);
  void declare_done(SimQueueIndex index);
  void bind_sent(SimQueueIndex index, int binding);
  void bind_done(SimQueueIndex index, int binding);
  void bind_refused(SimQueueIndex index, int binding);
  void bind_abandoned(SimQueueIndex index);
  void delete_sent(SimQueueIndex index);
  void delete_done(SimQueueIndex index);
  // The client of a declaration or deletion does not wait any more.
  void change_abandoned(SimQueueIndex index);
  // Copies that a purge sent now removes for certain, unless a consumer gets them first.
  struct Purge {
    std::uint64_t deliveries = 0;  // counted when it was sent
    std::vector<SimMessageId> sure;
  };
  Purge purge_sent(SimQueueIndex index);
  void purge_done(SimQueueIndex index, const Purge& purge);

  // ---- the broker as a whole ----
  // Nothing is under way, everything is committed, every client has read everything.
  void rested();
  // All clients are gone. After the start resolve() says what is there.
  void crashed();
  void stopped();
  void resolve(SimQueueIndex index, bool exists);
  void resolve_binding(SimQueueIndex index, int binding, bool exists);

  struct Counts {
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t late = 0;  // of max: their time is over

    void widen(const Counts& other) {
      min = std::min(min, other.min);
      max = std::max(max, other.max);
      late = std::max(late, other.late);
    }
  };
  // Ready messages. REQUIRES: at rest.
  Counts ready(SimQueueIndex index);
  // The copies that these are, some of them: for whoever looks for a fault.
  std::string list(SimQueueIndex index);
  // After a drain: nothing is left here.
  void drained(SimQueueIndex index);

  // What happens to this message is printed: for whoever replays a seed.
  void trace(SimMessageId id) { traced_ = id; }

  // ---- the verdict ----
  void fail(std::string text);
  bool ok() const { return failure_.empty(); }
  const std::string& failure() const { return failure_; }
  struct Stats {
    std::uint64_t published = 0, delivered = 0, redelivered = 0, settled = 0, crashes = 0,
                  stops = 0, rests = 0, lost_unconfirmed = 0, came_back = 0, dead_lettered = 0,
                  refused = 0, transactions = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  enum class Life : std::uint8_t {
    never,  // not in this queue
    live,   // somewhere, or settled since the last rest
    gone,
  };
  struct Copy {
    SimQueueIndex queue = 0;
    int binding = -1;
    Life life = Life::never;
    Existence route = Existence::absent;  // present: for sure; declaring: perhaps
    Places may = kNowhere;                // where it may be now
    Places past = 0;                      // every place since the last rest
    bool safe = false;                    // its publish is on disk
    Places seen = 0;                      // places where a client got it
    // After a power loss: it is there as all of its publish or transaction is, or none (S4, B11).
    bool with_all = false;
    SimGroup settled_by = 0;  // the transaction, until it is known to be on disk, or not
    bool tolerated = false;   // gone, but a delivery made before may still arrive
    Places purged = 0;        // may have been under way from here when purged
    std::uint32_t holder = 0;
    std::uint64_t delivery = 0;  // the last one, by the count of all
    unsigned returns = 0;
    bool returns_unsure = false;  // the broker may have counted others
    bool recovered = false;       // it was there when the broker started
    // At the earliest: a session stamps a message between sending and taking.
    std::int64_t due_ms = 0;  // of a delayed one
    std::int64_t deadline_ms = kNever;
  };
  struct Message {
    SimPublish what;
    std::int64_t sent_ms = 0;
    std::int64_t taken_ms = 0;
    bool taken = false;
    SimGroup group = 0;
    std::vector<Copy> copies;
  };
  using Deaths = std::vector<std::pair<SimMessageId, SimQueueIndex>>;
  struct Group {
    std::vector<SimMessageId> published;
    Deaths settled;
  };

  // ledger.cc
  Copy* find(SimMessageId id, SimQueueIndex queue);
  Places place_in(const Copy& copy, SimQueueIndex queue) const;
  Places dead_place(const Copy& copy) const;
  bool may_die(const Copy& copy) const;
  std::int64_t now_ms() const { return clock_.wall_ms(); }
  void age(Copy& copy);
  static void set(Copy& copy, Places places);
  static void add(Copy& copy, Places places);
  static void lose(Copy& copy);
  void note(const char* what, SimMessageId id, const Copy& copy) const;
  std::string describe(SimMessageId id, const Copy& copy) const;
  bool durable(const Message& message, const Copy& copy) const;
  void enter(SimMessageId id, Copy& copy, bool sure);
  void bury(SimMessageId id, Copy& copy, bool tolerated);
  void leave(SimMessageId id, SimQueueIndex queue, Places to, SimGroup group);

  // ledger_world.cc
  void happened(SimMessageId id, SimGroup group);
  void did_not_happen(SimMessageId id, SimGroup group);
  void proved(SimMessageId id, Copy& copy);
  void void_queue(SimQueueIndex index, bool tolerated);
  void lose_some(SimQueueIndex index);
  void rest_copy(SimMessageId id, Message& message, Copy& copy);
  void crash_copy(SimMessageId id, Message& message, Copy& copy);
  void forget_tolerated();
  template <class Function>
  void each_copy(SimQueueIndex index, Function function);
  template <class Function>
  void each_live(Function function);

  const Clock& clock_;
  std::vector<Queue> queues_;
  std::map<SimMessageId, Message> messages_;
  std::set<SimMessageId> live_;
  std::map<SimGroup, Group> groups_;
  SimMessageId next_id_ = 1;
  Deaths tolerated_;
  std::string failure_;
  SimMessageId traced_ = 0;
  Stats stats_;
};

}  // namespace warren::test
