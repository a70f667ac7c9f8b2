// SPDX-License-Identifier: Apache-2.0
#include "server/broker/queue/queue.h"

#include <algorithm>
#include <limits>

#include "storage/base/assert.h"

namespace warren::broker {

Queue::Queue(QueueHost& host, storage::QueueDefinition definition, std::uint64_t window_bytes,
             const storage::LogState* recovered)
    : host_(host), definition_(std::move(definition)), ready_(window_bytes) {
  if (recovered != nullptr) {
    next_seq_ = recovered->next;
    // The mark is set ahead of what is delivered; what comes from now on is new all the same.
    recovered_mark_ = std::min(recovered->delivered_mark, recovered->next - 1);
    log_ = &host_.open_log(*recovered);
    ready_.start_on_disk(recovered->head, recovered->next, recovered->live_count,
                         recovered->live_bytes);
  } else if (durable()) {
    log();
  }
}

Queue::~Queue() {
  ReadyStore::Gap gap;
  std::int64_t in_memory = 0;
  for (const ReadyMessage& message : ready_.clear(gap)) {
    if (message.kept == Kept::memory) in_memory += static_cast<std::int64_t>(message.block->size());
  }
  for (const auto& [seq, unacked] : unacked_) {
    if (unacked.kept == Kept::memory) in_memory += static_cast<std::int64_t>(unacked.block->size());
  }
  host_.add_transient_bytes(-in_memory);
}

storage::QueueLog& Queue::log() {
  if (log_ == nullptr) {
    storage::LogState state;
    state.id = definition_.log;
    state.head = next_seq_;
    state.next = next_seq_;
    log_ = &host_.open_log(state);
  }
  return *log_;
}

void Queue::count(const ReplyTo& reply_to) const {
  Reply reply;
  reply.to = reply_to;
  reply.name = definition_.name;
  reply.message_count = clamped_ready_count();
  reply.consumer_count = consumer_count();
  host_.reply(std::move(reply));
}

std::uint32_t Queue::clamped_ready_count() const {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(ready_.count(), std::numeric_limits<std::uint32_t>::max()));
}

void Queue::purge(const PurgeRequest& request) {
  if (reading_) {
    purges_.push_back(request);
    return;
  }
  do_purge(request);
}

void Queue::do_purge(const PurgeRequest& request) {
  Reply reply;
  reply.to = request.reply_to;
  reply.name = definition_.name;
  reply.message_count = clamped_ready_count();
  ReadyStore::Gap gap;
  for (const ReadyMessage& message : ready_.clear(gap)) forget(message);
  if (gap.begin != gap.end) {
    log().settle_range(gap.begin, gap.end, gap.durable_count, gap.durable_bytes);
  }
  if (durable()) {
    host_.reply_when_durable(std::move(reply));
  } else {
    host_.reply(std::move(reply));
  }
}

void Queue::cancel_all_consumers() {
  for (const auto& consumer : consumers_) {
    if (!consumer->cancelled && consumer->number != 0) host_.cancel_consumer(*consumer);
  }
  for (const GetRequest& request : gets_) {
    Reply reply;
    reply.to = request.reply_to;
    host_.reply(std::move(reply));
  }
  gets_.clear();
  for (const PurgeRequest& request : purges_) {
    Reply reply;
    reply.to = request.reply_to;
    host_.reply(std::move(reply));
  }
  purges_.clear();
}

// The message is gone for good.
void Queue::forget(const ReadyMessage& message) {
  forget(message.seq, *message.block, message.kept);
}

void Queue::forget(Seq seq, const Block& block, Kept kept) {
  if (kept == Kept::memory) {
    host_.add_transient_bytes(-static_cast<std::int64_t>(block.size()));
  } else {
    log().settle(seq, block.size());
  }
}

}  // namespace warren::broker
