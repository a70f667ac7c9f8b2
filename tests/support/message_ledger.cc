// SPDX-License-Identifier: Apache-2.0
#include "tests/support/message_ledger.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "storage/base/assert.h"

namespace warren::test {

QueueIndex MessageLedger::add_queue(std::string name) {
  queues_.push_back(std::move(name));
  return static_cast<QueueIndex>(queues_.size() - 1);
}

PublisherIndex MessageLedger::add_publisher(std::vector<QueueIndex> targets) {
  WARREN_ASSERT(!targets.empty());
  publishers_.push_back({.targets = std::move(targets), .messages = {}, .copies = {}});
  return static_cast<PublisherIndex>(publishers_.size() - 1);
}

MessageId MessageLedger::sent(PublisherIndex index, bool persistent) {
  Publisher& publisher = publishers_.at(index);
  publisher.messages.push_back({.born = kills_, .persistent = persistent});
  publisher.copies.resize(publisher.copies.size() + publisher.targets.size());
  ++counts_.sent;
  return {.publisher = index, .number = static_cast<std::uint32_t>(publisher.messages.size() - 1)};
}

void MessageLedger::confirmed(MessageId id) {
  Message& message = publishers_.at(id.publisher).messages.at(id.number);
  if (message.confirmed || message.nacked) {
    violation(fmt::format("P5: message {}/{} was answered twice", id.publisher, id.number));
  }
  message.confirmed = true;
  ++counts_.confirmed;
}

void MessageLedger::nacked(MessageId id) {
  publishers_.at(id.publisher).messages.at(id.number).nacked = true;
}

ConsumerIndex MessageLedger::consumer_opened(QueueIndex queue) {
  Consumer consumer;
  consumer.queue = queue;
  consumer.last_first.assign(publishers_.size(), -1);
  consumer.last.assign(publishers_.size(), -1);
  consumers_.push_back(std::move(consumer));
  return static_cast<ConsumerIndex>(consumers_.size() - 1);
}

MessageLedger::Copy* MessageLedger::copy_of(MessageId id, QueueIndex queue) {
  if (id.publisher >= publishers_.size()) return nullptr;
  Publisher& publisher = publishers_[id.publisher];
  if (id.number >= publisher.messages.size()) return nullptr;
  const auto target = std::find(publisher.targets.begin(), publisher.targets.end(), queue);
  if (target == publisher.targets.end()) return nullptr;
  const auto offset = static_cast<std::size_t>(target - publisher.targets.begin());
  return &publisher.copies[id.number * publisher.targets.size() + offset];
}

std::string MessageLedger::describe(MessageId id, QueueIndex queue) const {
  return fmt::format("message {}/{} in queue '{}'", id.publisher, id.number, queues_.at(queue));
}

void MessageLedger::delivered(ConsumerIndex index, MessageId id, bool redelivered) {
  Consumer& consumer = consumers_.at(index);
  Copy* const copy = copy_of(id, consumer.queue);
  ++counts_.deliveries;
  if (redelivered) ++counts_.redelivered;
  if (copy == nullptr) {
    return violation(fmt::format("R5: message {}/{} was never sent to queue '{}'", id.publisher,
                                 id.number, queues_.at(consumer.queue)));
  }
  const Message& message = publishers_[id.publisher].messages[id.number];
  if (copy->deliveries != 0 && !redelivered) {
    violation(
        fmt::format("R13: {} was delivered again without the flag", describe(id, consumer.queue)));
  }
  if (!message.persistent && message.born != kills_) {
    violation(fmt::format("R12: transient {} survived a kill", describe(id, consumer.queue)));
  }
  if (copy->acked) {
    check_return(*copy, id, consumer.queue);
    copy->acked = false;
  }
  check_order(consumer, id, redelivered);
  ++copy->deliveries;
  if (message.born != kills_) copy->outlived_a_kill = true;
}

// R14: an ack rides along with the next commit; only what it has not reached may come back.
void MessageLedger::check_return(const Copy& copy, MessageId id, QueueIndex queue) {
  const Consumer& acker = consumers_[copy.acked_by];
  if (!acker.ended) {
    return violation(
        fmt::format("R14: acked {} came back while its connection is open", describe(id, queue)));
  }
  if (copy.ack <= acker.firm) {
    return violation(fmt::format("R14: {} came back, though a transaction behind it was committed",
                                 describe(id, queue)));
  }
  ++counts_.acked_came_back;
}

// B1: on one connection, first deliveries of a publisher's messages are in the order of sending;
// while draining, all deliveries are.
void MessageLedger::check_order(Consumer& consumer, MessageId id, bool redelivered) {
  std::int64_t& last_first = consumer.last_first.at(id.publisher);
  std::int64_t& last = consumer.last.at(id.publisher);
  const std::int64_t number = id.number;
  if (!redelivered && number <= last_first) {
    violation(fmt::format("B1: {} was first delivered after {}", describe(id, consumer.queue),
                          last_first));
  }
  if (draining_ && number <= last) {
    violation(fmt::format("B1: {} came after {} in the drain", describe(id, consumer.queue), last));
  }
  if (!redelivered) last_first = number;
  last = number;
}

void MessageLedger::ack_sent(ConsumerIndex index, MessageId id) {
  Copy* const copy = copy_of(id, consumers_.at(index).queue);
  WARREN_ASSERT(copy != nullptr);
  copy->acked = true;
  copy->acked_by = index;
  copy->ack = ++consumers_[index].acks;
  ++counts_.acks;
}

void MessageLedger::acks_are_firm(ConsumerIndex index, std::uint64_t acks) {
  Consumer& consumer = consumers_.at(index);
  WARREN_ASSERT(acks <= consumer.acks);
  if (acks <= consumer.firm) return;
  counts_.acks_firm += acks - consumer.firm;
  consumer.firm = acks;
}

void MessageLedger::consumer_ended(ConsumerIndex index) {
  consumers_.at(index).ended = true;
}

void MessageLedger::broker_killed() {
  for (ConsumerIndex index = first_open_; index < consumers_.size(); ++index) {
    consumer_ended(index);
  }
  first_open_ = static_cast<ConsumerIndex>(consumers_.size());
  for (const Publisher& publisher : publishers_) {
    counts_.pending_at_kill += static_cast<std::uint64_t>(std::count_if(
        publisher.messages.begin(), publisher.messages.end(), [this](const Message& message) {
          return message.born == kills_ && !message.confirmed && !message.nacked;
        }));
  }
  ++kills_;
  ++counts_.kills;
}

void MessageLedger::violation(std::string text) {
  ++violation_count_;
  if (violations_.size() < kViolationsKept) violations_.push_back(std::move(text));
}

void MessageLedger::finish() {
  for (PublisherIndex index = 0; index < publishers_.size(); ++index) {
    const std::size_t count = publishers_[index].messages.size();
    for (std::uint32_t number = 0; number < count; ++number) finish_message(index, number);
  }
}

// Delivery does not wait for the disk, so an unconfirmed copy may be consumed and its siblings lost
// in the kill. But a copy that outlived a kill was committed, and its siblings with it.
void MessageLedger::finish_message(PublisherIndex index, std::uint32_t number) {
  const Publisher& publisher = publishers_[index];
  const Message& message = publisher.messages[number];
  if (!message.persistent) return;
  const std::size_t targets = publisher.targets.size();
  std::size_t arrived = 0;
  bool committed = false;
  for (std::size_t i = 0; i < targets; ++i) {
    const Copy& copy = publisher.copies[number * targets + i];
    committed = committed || copy.outlived_a_kill;
    if (copy.deliveries != 0) {
      ++arrived;
    } else if (message.confirmed) {
      violation(
          fmt::format("R1: confirmed {} is lost", describe({index, number}, publisher.targets[i])));
    }
  }
  if (committed && arrived != targets) {
    violation(fmt::format("S4: message {}/{} was committed for {} of {} queues", index, number,
                          arrived, targets));
  }
}

}  // namespace warren::test
