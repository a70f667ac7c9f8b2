// SPDX-License-Identifier: Apache-2.0
// Messages with a time of their own: the index by due time, and settling a message that lies in the
// unread stretch without reading what is before it. Keeps: S16.
#include <algorithm>
#include <utility>

#include "storage/base/assert.h"
#include "storage/engine/queue_log_impl.h"

namespace warren::storage {

void QueueLogImpl::note_returns(Seq seq, std::uint32_t returns) {
  new_returns_[seq] = returns;
  touch();
}

void QueueLogImpl::read_due(const DueEntry& after, std::size_t limit, DueCallback callback) {
  WARREN_ASSERT(!due_callback_);
  due_callback_ = std::move(callback);
  ReadRequest request;
  request.kind = ReadRequest::Kind::due;
  request.log = id_;
  request.after = after;
  request.limit = limit;
  reader_.start_read(request);
}

void QueueLogImpl::finish_due(Result<ReadOutcome> outcome) {
  const DueCallback callback = std::exchange(due_callback_, nullptr);
  WARREN_ASSERT(callback);
  if (!outcome.ok()) return callback(outcome.error());
  callback(std::move(outcome->due));
}

void QueueLogImpl::fetch(std::vector<DueEntry> entries, FetchCallback callback) {
  WARREN_ASSERT(!fetch_callback_);
  fetch_callback_ = std::move(callback);
  fetch_settled_.clear();
  std::ranges::sort(entries, {}, &DueEntry::chunk);
  ReadRequest request;
  request.kind = ReadRequest::Kind::fetch;
  request.log = id_;
  request.wanted = std::move(entries);
  request.returns = has_returns_;
  reader_.start_read(request);
}

void QueueLogImpl::finish_fetch(Result<ReadOutcome> outcome) {
  const FetchCallback callback = std::exchange(fetch_callback_, nullptr);
  WARREN_ASSERT(callback);
  if (!outcome.ok()) return callback(outcome.error());
  for (ReadOutcome::Chunk& loaded : outcome->chunks) {
    const Seq base = loaded.meta.base;
    // Settled as a range meanwhile, or read in its turn: whoever holds it settles it.
    const bool unread = base >= unread_from_ && base < unread_to_ &&
                        !any_holds(fetch_settled_, base) &&
                        durable_chunks_.at_base(base) == nullptr;
    if (unread) fetched_.try_emplace(base, Fetched{std::move(loaded.meta), 0, 0});
  }
  std::erase_if(outcome->messages,
                [this](const StoredMessage& message) { return !fetched_live(message.seq); });
  for (const StoredMessage& message : outcome->messages) ++find_fetched(message.seq)->given;
  // Not before: what was read may be of before the commit that a remembered chunk waits for.
  evict_fetched();
  callback(std::move(outcome->messages));
}

QueueLogImpl::Fetched* QueueLogImpl::find_fetched(Seq seq) {
  auto at = fetched_.upper_bound(seq);
  if (at == fetched_.begin()) return nullptr;
  --at;
  return at->second.meta.index_of(seq).has_value() ? &at->second : nullptr;
}

bool QueueLogImpl::fetched_live(Seq seq) {
  Fetched* const fetched = find_fetched(seq);
  return fetched != nullptr && !fetched->meta.acks.test(*fetched->meta.index_of(seq));
}

bool QueueLogImpl::settle_fetched(Seq seq, std::uint64_t bytes, const MessageNotes& notes) {
  Fetched* const fetched = find_fetched(seq);
  if (fetched == nullptr) return false;
  fetched->changed = hand_overs_ + 1;
  --fetched->given;
  settle_durable(fetched->meta, *fetched->meta.index_of(seq), bytes, notes);
  return true;
}

void QueueLogImpl::put_back(Seq seq) {
  if (Fetched* const fetched = find_fetched(seq)) --fetched->given;
}

// Lets go of what the disk knows as well. While a read of the stretch or a fetch runs it may have
// seen the disk of before.
void QueueLogImpl::evict_fetched() {
  if (read_.has_value() || fetch_callback_) return;
  const bool full = fetched_.size() >= limits_.fetched_chunks_max;
  std::erase_if(fetched_, [&](const auto& one) {
    const Fetched& fetched = one.second;
    if (fetched.given > 0 || fetched.changed > hand_overs_durable_) return false;
    return full || !fetched.meta.live();
  });
}

void QueueLogImpl::reset_due(std::vector<DueEntry> keep) {
  dead_due_.clear();
  new_due_.clear();
  for (DueEntry& entry : keep) {
    // Now: it may be released before the reset is handed over. What is not handed over itself yet
    // brings its entry along.
    const ChunkMeta* const chunk = durable_chunks_.find(entry.seq).chunk;
    if (chunk == nullptr) continue;
    entry.chunk = chunk->base;
    new_due_.push_back(entry);
  }
  due_reset_ = has_due_ || !new_due_.empty();
  if (due_reset_) touch();
}

void QueueLogImpl::erase_due(const DueEntry& entry) {
  dead_due_.push_back(entry);
  touch();
}

}  // namespace warren::storage
