// SPDX-License-Identifier: Apache-2.0
// Reading released messages back: the shard's side of it. The disk's side: log_reader.
#include <algorithm>
#include <utility>

#include "storage/base/assert.h"
#include "storage/engine/queue_log_impl.h"

namespace warren::storage {
namespace {

bool any_holds(const std::vector<std::pair<Seq, Seq>>& ranges, Seq seq) {
  return std::ranges::any_of(
      ranges, [seq](const auto& range) { return seq >= range.first && seq < range.second; });
}

}  // namespace

void QueueLogImpl::read(Seq from, Seq to, std::size_t bytes_hint, ReadCallback callback) {
  WARREN_ASSERT(!read_.has_value());
  WARREN_ASSERT(from <= to && to <= next_);
  read_ = ActiveRead{from, to, std::move(callback), {}};
  reader_.start_read(ReadRequest{id_, from, to, bytes_hint, spilled_});
}

void QueueLogImpl::finish_read(Result<ReadOutcome> outcome) {
  WARREN_ASSERT(read_.has_value());
  const ActiveRead read = std::move(*read_);
  read_.reset();
  if (!outcome.ok()) {
    read.callback(outcome.error());
    return;
  }
  if (!read.settled.empty()) {
    std::erase_if(outcome->messages, [&](const StoredMessage& message) {
      return any_holds(read.settled, message.seq);
    });
  }
  register_chunks(*outcome, read);
  if (outcome->damaged > 0 || outcome->acks_damaged) damaged_ = true;
  if (outcome->damaged > 0) {
    // The lost messages leave the counters; the bytes stay on disk until the log is dropped.
    live_count_ -= std::min(live_count_, outcome->damaged);
    live_bytes_ -= std::min(live_bytes_, outcome->damaged_bytes);
    state_dirty_ = true;
    touch();
  }
  if (read.from <= unread_from_) unread_from_ = std::max(unread_from_, outcome->next);
  ReadResult result;
  result.messages = std::move(outcome->messages);
  result.next = outcome->next;
  result.damaged = outcome->damaged;
  read.callback(std::move(result));
}

void QueueLogImpl::register_chunks(ReadOutcome& outcome, const ActiveRead& read) {
  for (ReadOutcome::Chunk& chunk : outcome.chunks) {
    if (any_holds(read.settled, chunk.meta.base)) continue;
    ChunkTable& table = chunk.durability == Durability::durable ? durable_chunks_ : paged_chunks_;
    table.insert(std::move(chunk.meta));
  }
}

}  // namespace warren::storage
