// SPDX-License-Identifier: Apache-2.0
// Reading released messages back: the shard's side of it. The disk's side: log_reader.
#include <utility>

#include "storage/base/assert.h"
#include "storage/engine/queue_log_impl.h"

namespace warren::storage {
void QueueLogImpl::read(Seq from, Seq to, std::size_t bytes_hint, ReadCallback callback) {
  WARREN_ASSERT(!read_.has_value());
  WARREN_ASSERT(from <= to && to <= next_);
  read_ = ActiveRead{from, to, std::move(callback), {}};
  ReadRequest request;
  request.log = id_;
  request.from = from;
  request.to = to;
  request.bytes_hint = bytes_hint;
  request.spilled = spilled_;
  request.returns = has_returns_;
  reader_.start_read(request);
}

void QueueLogImpl::finish_read(ReadRequest::Kind kind, Result<ReadOutcome> outcome) {
  switch (kind) {
    case ReadRequest::Kind::stretch:
      return finish_stretch(std::move(outcome));
    case ReadRequest::Kind::fetch:
      return finish_fetch(std::move(outcome));
    case ReadRequest::Kind::due:
      return finish_due(std::move(outcome));
  }
}

void QueueLogImpl::finish_stretch(Result<ReadOutcome> outcome) {
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
  count_lost(*outcome, read);
  register_chunks(*outcome, read);
  if (outcome->damaged > 0 || outcome->acks_damaged) {
    damaged_ = state_dirty_ = true;
    touch();
  }
  if (outcome->damaged > 0) {
    // The lost messages leave the counters; the bytes stay on disk until the log is dropped.
    live_count_ -= std::min(live_count_, outcome->damaged);
    live_bytes_ -= std::min(live_bytes_, outcome->damaged_bytes);
    state_dirty_ = true;
    touch();
  }
  // Whoever holds it from now on settles it: a fetch that saw the disk of before gives none of it.
  if (fetch_callback_) fetch_settled_.emplace_back(read.from, outcome->next);
  if (read.from <= unread_from_) unread_from_ = std::max(unread_from_, outcome->next);
  if (damaged_ && unread_from_ >= unread_to_) count_again();
  ReadResult result;
  result.messages = std::move(outcome->messages);
  result.next = outcome->next;
  result.damaged = outcome->damaged;
  read.callback(std::move(result));
}

// All of the log is in memory: what is not is lost. What a chunk held that not even the store below
// could give was not known so far; its bytes are taken to be as many as others have.
void QueueLogImpl::count_again() {
  const std::uint64_t live = durable_chunks_.live_entries();
  if (live == live_count_) return;
  if (live < live_count_) {
    const std::uint64_t lost = live_count_ - live;
    live_bytes_ -= live_bytes_ / live_count_ * lost;
    live_weight_ -= live_weight_ / live_count_ * lost;
  }
  live_count_ = live;
  if (live == 0) live_bytes_ = live_weight_ = 0;
  state_dirty_ = true;
  touch();
}

void QueueLogImpl::register_chunks(ReadOutcome& outcome, const ActiveRead& read) {
  for (ReadOutcome::Chunk& chunk : outcome.chunks) {
    if (any_holds(read.settled, chunk.meta.base)) continue;
    if (const auto fetched = fetched_.find(chunk.meta.base); fetched != fetched_.end()) {
      adopt_fetched(outcome, fetched);
      continue;
    }
    ChunkTable& table = chunk.durability == Durability::durable ? durable_chunks_ : paged_chunks_;
    table.insert(std::move(chunk.meta));
  }
}

// The chunk was read out of turn before, and more of it may be settled than the disk knew.
void QueueLogImpl::adopt_fetched(ReadOutcome& outcome, std::map<Seq, Fetched>::iterator fetched) {
  ChunkMeta& meta = fetched->second.meta;
  std::erase_if(outcome.messages, [&meta](const StoredMessage& message) {
    const auto index =
        message.durability == Durability::durable ? meta.index_of(message.seq) : std::nullopt;
    return index.has_value() && meta.acks.test(*index);
  });
  // A chunk that is all settled is gone with the commit under way; its base stays known until then.
  if (!meta.live()) return;
  durable_chunks_.insert(std::move(meta));
  fetched_.erase(fetched);
}

}  // namespace warren::storage
