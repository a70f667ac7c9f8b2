// SPDX-License-Identifier: Apache-2.0
// What a queue has to do, written down naively: a list of messages in the order they were
// published, each ready, held, on its way out, or gone. The queue says what it does; the model says
// whether it may.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "server/broker/dead_letter.h"
#include "server/broker/queue/consumer.h"
#include "server/broker/queue/expiry_index.h"
#include "server/broker/queue_settings.h"

namespace warren::broker {

struct ModelMessage {
  enum class State : std::uint8_t { ready, held, leaving, gone };
  enum class Flag : std::uint8_t { no, maybe, yes };

  std::uint64_t id = 0;
  std::size_t lane = 0;
  bool durable = false;
  std::int64_t deadline_ms = kNoDeadline;
  State state = State::ready;
  Flag flagged = Flag::no;  // must it say redelivered?
  std::uint32_t returns = 0;
  Place place = 0;              // while it is held
  ConsumerNumber consumer = 0;  // that holds it; 0: a basic.get
  ChannelKey channel;           // that holds it
  bool answered = true;         // its publisher
};

struct ModelConsumer {
  ConsumerNumber number = 0;
  ChannelKey channel;
  bool no_ack = false;
  std::uint16_t prefetch = 0;
  std::int32_t priority = 0;
  std::uint32_t held = 0;
  std::uint64_t in_flight_bytes = 0;

  bool has_room() const {
    return in_flight_bytes < kConsumerWindowBytes && (no_ack || prefetch == 0 || held < prefetch);
  }
};

// Every verdict() is empty when the queue may do so; the step is then taken.
class QueueModel {
 public:
  using State = ModelMessage::State;
  using Flag = ModelMessage::Flag;

  // `pages`: what is not durable may be paged out.
  QueueModel(const QueueSettings& settings, bool pages) : settings_(settings), pages_(pages) {}

  std::vector<ModelMessage>& messages() { return messages_; }
  std::vector<ModelConsumer>& consumers() { return consumers_; }

  ModelMessage* find(std::uint64_t id) {
    for (ModelMessage& message : messages_) {
      if (message.id == id && message.state != State::gone) return &message;
    }
    return nullptr;
  }
  ModelConsumer* find_consumer(ConsumerNumber number) {
    for (ModelConsumer& consumer : consumers_) {
      if (consumer.number == number) return &consumer;
    }
    return nullptr;
  }
  // Whatever became of it.
  ModelMessage* find_any(std::uint64_t id) {
    for (ModelMessage& message : messages_) {
      if (message.id == id) return &message;
    }
    return nullptr;
  }
  std::uint64_t count(State state) const {
    std::uint64_t count = 0;
    for (const ModelMessage& message : messages_) count += message.state == state ? 1 : 0;
    return count;
  }
  // The highest lane first, in each the oldest; `since_ms`: passing over what expired before.
  ModelMessage* head(std::int64_t since_ms) {
    ModelMessage* head = nullptr;
    for (ModelMessage& message : messages_) {
      if (message.state != State::ready || message.deadline_ms < since_ms) continue;
      if (head == nullptr || message.lane > head->lane) head = &message;
    }
    return head;
  }

  bool must_refuse() const {
    return settings_.overflow != Overflow::drop_head && settings_.max_length &&
           count(State::ready) + 1 > *settings_.max_length;
  }

  std::string take(std::uint64_t id, bool redelivered, std::int64_t now_ms) {
    ModelMessage* const message = head(now_ms);
    if (message == nullptr || message->id != id) {
      return fmt::format("{} came, and it is the turn of {}", id,
                         message == nullptr ? "none" : std::to_string(message->id));
    }
    const bool wrong = message->flagged == Flag::yes ? !redelivered : redelivered;
    if (wrong && message->flagged != Flag::maybe) {
      return fmt::format("{} came {}flagged redelivered (B4)", id, redelivered ? "" : "not ");
    }
    return {};
  }

  // `channel` holds it for its consumer `number`, or for a basic.get.
  void hold(std::uint64_t id, Place place, const ChannelKey& channel, ConsumerNumber number) {
    ModelMessage& message = *find(id);
    message.state = State::held;
    message.place = place;
    message.channel = channel;
    message.consumer = number;
    if (ModelConsumer* const consumer = find_consumer(number)) ++consumer->held;
  }

  std::string may_deliver(ConsumerNumber number) {
    const ModelConsumer* const chosen = find_consumer(number);
    if (chosen == nullptr) return fmt::format("delivery to consumer {}, which is gone", number);
    if (!chosen->has_room()) return fmt::format("consumer {} has no room (B3)", number);
    for (const ModelConsumer& other : consumers_) {
      if (settings_.single_active_consumer) {
        if (number != consumers_.front().number) return "delivery to one that is not active";
      } else if (other.has_room() && other.priority > chosen->priority) {
        return fmt::format("consumer {} goes before {}", other.number, number);
      }
    }
    return {};
  }

  // The holder lets go; the settlement itself is the caller's.
  void release(ModelMessage& message) {
    if (ModelConsumer* const consumer = find_consumer(message.consumer)) --consumer->held;
    message.consumer = 0;
  }
  // Back to its place; true: it has come back too often and leaves.
  bool give_back(ModelMessage& message) {
    release(message);
    message.flagged = Flag::yes;
    ++message.returns;
    message.state = State::ready;
    return settings_.delivery_limit && message.returns > *settings_.delivery_limit;
  }

  // A ready message leaves by itself.
  std::string may_leave(std::uint64_t id, DeathReason reason, std::int64_t now_ms) {
    const ModelMessage* const message = find(id);
    if (message == nullptr || message->state != State::ready) {
      return fmt::format("{} leaves ({}) and is not ready", id, death_reason_name(reason));
    }
    if (reason == DeathReason::expired && message->deadline_ms > now_ms) {
      return fmt::format("{} expires {} ms early", id, message->deadline_ms - now_ms);
    }
    if (reason == DeathReason::maxlen) {
      if (count(State::ready) <= *settings_.max_length) return "dropped below the limit";
      if (head(INT64_MIN)->id != id) return fmt::format("{} is dropped, and is not the head", id);
    }
    return {};
  }

  // With nothing under way. Empty: nothing is left undone.
  std::string undone(std::int64_t now_ms) {
    for (const ModelMessage& message : messages_) {
      if (!message.answered) return fmt::format("the publish of {} is not answered", message.id);
      // Behind others that live a little longer it need not be looked for, nor paged out.
      const bool late = message.deadline_ms != kNoDeadline && (message.durable || !pages_) &&
                        message.deadline_ms + ExpiryIndex::kToleranceMs < now_ms;
      if (message.state == State::ready && late) {
        std::string ahead;
        for (const ModelMessage& other : messages_) {
          if (other.state != State::ready || other.lane != message.lane) continue;
          if (other.id < message.id) ahead += fmt::format(" {}", other.id);
        }
        return fmt::format("{} of lane {} outlives its deadline by {} ms, ahead of it are:{} (B9)",
                           message.id, message.lane, now_ms - message.deadline_ms, ahead);
      }
    }
    const std::uint64_t ready = count(State::ready);
    if (settings_.max_length && ready > *settings_.max_length &&
        settings_.overflow == Overflow::drop_head) {
      return fmt::format("{} are ready, above the limit", ready);
    }
    if (head(now_ms) == nullptr) return {};
    for (const ModelConsumer& consumer : consumers_) {
      const bool waits =
          settings_.single_active_consumer && consumer.number != consumers_.front().number;
      if (!waits && consumer.has_room()) {
        return fmt::format("{} is ready and consumer {} has room", head(now_ms)->id,
                           consumer.number);
      }
    }
    return {};
  }

  // The broker starts again on what the disk has.
  void restart() {
    consumers_.clear();
    for (ModelMessage& message : messages_) {
      message.answered = true;
      if (message.state == State::gone) continue;
      if (!message.durable) {
        message.state = State::gone;
        continue;
      }
      const bool was_held = message.state == State::held;
      message.state = State::ready;
      if (was_held) message.flagged = Flag::yes;
      // The mark is ahead of the deliveries.
      if (message.flagged == Flag::no) message.flagged = Flag::maybe;
    }
  }

  void forget_gone() {
    std::erase_if(messages_, [](const ModelMessage& message) {
      return message.state == State::gone && message.answered;
    });
  }

 private:
  const QueueSettings& settings_;
  const bool pages_;
  std::vector<ModelMessage> messages_;    // in the order of their ids
  std::vector<ModelConsumer> consumers_;  // in the order they came
};

}  // namespace warren::broker
