// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "storage/base/assert.h"

#include "server/broker/queue/queue.h"

namespace warren::broker {

void Queue::settle(Seq seq, Settlement how) {
  const auto at = unacked_.find(seq);
  if (at == unacked_.end()) return;  // its holder is gone and it was given back already
  Unacked unacked = std::move(at->second);
  unacked_.erase(at);
  Consumer& consumer = *unacked.consumer;
  WARREN_ASSERT(consumer.unacked > 0);
  --consumer.unacked;
  switch (how) {
    case Settlement::ack:
    case Settlement::reject:
      forget(seq, *unacked.block, unacked.kept);
      break;
    case Settlement::requeue:
      requeue(seq, std::move(unacked));
      break;
  }
  if (consumer.cancelled) {
    if (consumer.unacked == 0) collect_consumers();
    return;
  }
  ring_.put(consumer);
  if (ready_.count() > 0) host_.schedule(*this);
}

// Back to its place, ahead of everything that was never delivered, and flagged (B1, B4).
void Queue::requeue(Seq seq, Unacked unacked) {
  ready_.give_back({seq, std::move(unacked.block), unacked.kept, true});
  host_.schedule(*this);
}

void Queue::holder_gone(ChannelKey holder) {
  const auto theirs = [&holder](const Consumer& consumer) {
    return consumer.channel.connection == holder.connection &&
           (holder.channel == 0 || consumer.channel.channel == holder.channel);
  };
  bool lost_consumer = false;
  bool holds = false;
  for (const auto& consumer : consumers_) {
    if (!theirs(*consumer)) continue;
    if (consumer->unacked > 0) holds = true;
    if (consumer->cancelled) continue;
    if (consumer->number != 0) lost_consumer = true;
    drop_consumer(*consumer);
  }
  if (holds) {
    std::vector<Seq> back;
    for (const auto& [seq, unacked] : unacked_) {
      if (theirs(*unacked.consumer)) back.push_back(seq);
    }
    std::sort(back.begin(), back.end());
    for (const Seq seq : back) {
      const auto at = unacked_.find(seq);
      Unacked unacked = std::move(at->second);
      unacked_.erase(at);
      --unacked.consumer->unacked;
      requeue(seq, std::move(unacked));
    }
  }
  std::erase_if(gets_, [&](const GetRequest& request) {
    return request.channel.connection == holder.connection &&
           (holder.channel == 0 || request.channel.channel == holder.channel);
  });
  collect_consumers();
  if (holder.channel == 0) holders_.erase(holder.connection.value);
  if (lost_consumer) check_unused(Reply{});
}

void Queue::drop_consumer(Consumer& consumer) {
  ring_.remove(consumer);
  consumer.cancelled = true;
  grants_out_ -= consumer.granted;
  consumer.granted = 0;
  if (consumer.number != 0) {
    by_number_.erase(std::pair(consumer.channel.connection.value, consumer.number));
  }
}

// Cancelled consumers live on while they hold messages.
void Queue::collect_consumers() {
  std::erase_if(consumers_, [](const std::unique_ptr<Consumer>& consumer) {
    return consumer->cancelled && consumer->unacked == 0;
  });
}

void Queue::check_unused(Reply reply) {
  if (definition_.auto_delete && had_consumer_ && consumer_count() == 0 && !removing_) {
    removing_ = true;
    host_.remove_unused(*this, std::move(reply));
    return;
  }
  host_.reply(std::move(reply));
}

}  // namespace warren::broker
