// SPDX-License-Identifier: Apache-2.0
// The oracle of the simulation: what must be, may be and cannot be in every queue. The simulation
// sees when a session took an operation, so that most is known exactly; what a crash, a vanished
// client or a topology change under way leaves open is a pending state, resolved at the next rest.
// (tests/support/message_ledger is the coarser one for a broker in another process.)
//
//   never -> owed -> settled -> gone          the usual life of a copy
//            owed <-> possible                 a crash, a purge under way
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace warren::test {

using SimMessageId = std::uint64_t;  // from 1, in the order of publishing
using SimQueueIndex = std::uint32_t;

enum class Existence : std::uint8_t {
  absent,     // for certain
  declaring,  // a declaration was sent
  present,    // declare-ok was seen
  deleting,   // a deletion was sent
};

// Where a publish goes. Without a binding: through the default exchange.
struct SimTarget {
  SimQueueIndex queue = 0;
  int binding = -1;
};

class SimLedger {
 public:
  struct Queue {
    std::string name;
    bool durable = true;
    Existence existence = Existence::absent;
    std::uint32_t generation = 0;       // grows with each incarnation
    unsigned changes = 0;               // declarations or deletions under way
    unsigned binds = 0;                 // under way
    bool unresolved = false;            // of a client that did not wait for the answer
    std::map<int, Existence> bindings;  // by key; deleting is not used
    bool losing = false;                // until the next rest anything not held may vanish
    bool consumed = false;              // a delivery may be under way, or was since the last rest
    bool vanished = false;              // a holder vanished since the last rest
    std::set<SimMessageId> copies;      // not gone
  };

  SimQueueIndex add_queue(std::string name, bool durable);
  Queue& queue(SimQueueIndex index) { return queues_[index]; }
  std::size_t queue_count() const { return queues_.size(); }

  // ---- publishing ----
  SimMessageId published(std::uint64_t publisher, bool persistent, std::size_t body_size,
                         const std::vector<SimTarget>& targets);
  void taken(SimMessageId id);      // the session has it, whole
  void confirmed(SimMessageId id);  // the broker said so
  void returned(SimMessageId id);   // as unroutable
  std::size_t body_size(SimMessageId id) const { return messages_.at(id).body_size; }
  std::uint64_t publisher(SimMessageId id) const { return messages_.at(id).publisher; }
  bool known(SimMessageId id) const { return messages_.contains(id); }

  // ---- consuming; `holder` 0: nobody holds it, it needs no ack ----
  void delivered(SimMessageId id, SimQueueIndex queue, std::uint32_t holder, bool redelivered);
  // Delivered to a channel that the broker closed in the same turn: it goes back, and may have gone
  // on to somebody else already.
  void glimpsed(SimMessageId id, SimQueueIndex queue);
  void settled(SimMessageId id, SimQueueIndex queue);
  void given_back(SimMessageId id, SimQueueIndex queue);

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
  Purge purge_sent(SimQueueIndex index) const;
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
  };
  // Ready messages. REQUIRES: at rest.
  Counts ready(SimQueueIndex index) const;
  // After a drain: nothing is owed any more.
  void drained(SimQueueIndex index);

  // What happens to this message is printed: for whoever replays a seed.
  void trace(SimMessageId id) { traced_ = id; }

  // ---- the verdict ----
  void fail(std::string text);
  bool ok() const { return failure_.empty(); }
  const std::string& failure() const { return failure_; }
  struct Stats {
    std::uint64_t published = 0, delivered = 0, redelivered = 0, settled = 0, crashes = 0,
                  stops = 0, rests = 0, lost_unconfirmed = 0, came_back = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  enum class Life : std::uint8_t { never, owed, possible, settled, gone };
  struct Copy {
    SimQueueIndex queue = 0;
    int binding = -1;
    Life life = Life::never;
    bool safe = false;       // on disk, if it is anywhere
    bool seen = false;       // a client got it
    bool with_all = false;   // possible because of a crash alone: all such copies or none (S4)
    bool tolerated = false;  // gone, but a delivery made before may still arrive
    bool purged = false;     // possible because it may have been under way when purged
    std::uint32_t holder = 0;
    std::uint64_t delivery = 0;  // the last one, by the count of all
  };
  struct Message {
    std::uint64_t publisher = 0;
    bool persistent = false;
    bool taken = false;
    std::size_t body_size = 0;
    std::vector<Copy> copies;
  };

  Copy* find(SimMessageId id, SimQueueIndex queue);
  void note(const char* what, SimMessageId id, const Copy& copy) const;
  std::string describe(SimMessageId id, const Copy& copy) const;
  bool durable(const Message& message, const Copy& copy) const;
  void bury(SimMessageId id, Copy& copy, bool tolerated);
  void prove(Message& message, Copy& copy);
  void void_queue(SimQueueIndex index, bool tolerated);
  void lose_some(SimQueueIndex index);
  template <class Function>
  void each_copy(SimQueueIndex index, Function function);

  std::vector<Queue> queues_;
  std::map<SimMessageId, Message> messages_;
  SimMessageId next_id_ = 1;
  std::vector<std::pair<SimMessageId, SimQueueIndex>> tolerated_;
  std::string failure_;
  SimMessageId traced_ = 0;
  Stats stats_;
};

}  // namespace warren::test
