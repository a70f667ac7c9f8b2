// SPDX-License-Identifier: Apache-2.0
// What may have happened to every message: the oracle of the crash tests. A step that was in flight
// when the broker died may have happened or not, never a third thing.
//
//   sent -> confirmed         a publish that was confirmed must be in every queue it went to
//   delivered -> acked        an acked message may come back after its connection's end ...
//   acked -> firm             ... but not when a transaction behind the ack was committed
//
// Found and named: confirmed messages that never arrive; deliveries after the first without the
// redelivered flag (R13); deliveries out of publish order; acked messages that come back; transient
// messages that survive a kill; fan-outs of which only some copies were committed (S4); messages
// nobody sent; tags confirmed twice (P5).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace warren::test {

using PublisherIndex = std::uint32_t;
using QueueIndex = std::uint32_t;
using ConsumerIndex = std::uint32_t;

// Names a message in its body. Numbers of a publisher are dense from 0.
struct MessageId {
  PublisherIndex publisher = 0;
  std::uint32_t number = 0;
};

// Thread safety: none; the driver holds one lock around it.
class MessageLedger {
 public:
  static constexpr std::size_t kViolationsKept = 20;

  struct Counts {
    std::uint64_t sent = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t pending_at_kill = 0;  // sent, not confirmed, when the broker died
    std::uint64_t deliveries = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t acks = 0;
    std::uint64_t acks_firm = 0;        // of these: their return would be a violation
    std::uint64_t acked_came_back = 0;  // that were not firm
    std::uint64_t kills = 0;
  };

  QueueIndex add_queue(std::string name);
  PublisherIndex add_publisher(std::vector<QueueIndex> targets);

  MessageId sent(PublisherIndex publisher, bool persistent);
  void confirmed(MessageId id);
  // The broker said no: it may be in all of its queues or in none.
  void nacked(MessageId id);

  // One consumer on one connection.
  ConsumerIndex consumer_opened(QueueIndex queue);
  void delivered(ConsumerIndex consumer, MessageId id, bool redelivered);
  void ack_sent(ConsumerIndex consumer, MessageId id);
  std::uint64_t acks_sent(ConsumerIndex consumer) const { return consumers_.at(consumer).acks; }
  // A transaction was committed that the consumer's connection had sent to the consumer's queue
  // behind its first `acks` acks: they are in the same commit or an earlier one.
  void acks_are_firm(ConsumerIndex consumer, std::uint64_t acks);
  // The connection is gone, for whatever reason.
  void consumer_ended(ConsumerIndex consumer);

  // Ends every connection, also those whose clients have not noticed yet.
  void broker_killed();
  // From here on nothing is requeued and each queue has one consumer: order holds for all.
  void draining() { draining_ = true; }
  // A violation the driver saw itself, such as a body that fails its checksum.
  void violation(std::string text);

  // After the drain: every confirmed message was delivered, every fan-out is whole.
  void finish();

  bool clean() const { return violation_count_ == 0; }
  std::uint64_t violation_count() const { return violation_count_; }
  const std::vector<std::string>& violations() const { return violations_; }
  const Counts& counts() const { return counts_; }

 private:
  // One message in one of its queues.
  struct Copy {
    std::uint32_t deliveries = 0;
    ConsumerIndex acked_by = 0;  // valid when acked
    bool acked = false;
    bool outlived_a_kill = false;  // delivered after one: it had been on disk
    std::uint64_t ack = 0;         // which ack of this consumer, from 1
  };
  struct Message {
    std::uint32_t born = 0;  // kills before it was sent
    bool persistent = false;
    bool confirmed = false;
    bool nacked = false;
  };
  struct Publisher {
    std::vector<QueueIndex> targets;
    std::vector<Message> messages;
    std::vector<Copy> copies;  // targets.size() per message
  };
  struct Consumer {
    QueueIndex queue = 0;
    bool ended = false;
    std::uint64_t acks = 0;
    std::uint64_t firm = 0;                // of the acks
    std::vector<std::int64_t> last_first;  // per publisher: highest number of a first delivery
    std::vector<std::int64_t> last;        // per publisher: number of the last delivery
  };

  std::string describe(MessageId id, QueueIndex queue) const;
  Copy* copy_of(MessageId id, QueueIndex queue);
  void check_order(Consumer& consumer, MessageId id, bool redelivered);
  void check_return(const Copy& copy, MessageId id, QueueIndex queue);
  void finish_message(PublisherIndex index, std::uint32_t number);

  std::vector<std::string> queues_;
  std::vector<Publisher> publishers_;
  std::vector<Consumer> consumers_;
  std::vector<std::string> violations_;
  std::uint64_t violation_count_ = 0;
  ConsumerIndex first_open_ = 0;  // all before it ended with the last kill, or earlier
  std::uint32_t kills_ = 0;
  bool draining_ = false;
  Counts counts_;
};

}  // namespace warren::test
