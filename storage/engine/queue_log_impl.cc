// SPDX-License-Identifier: Apache-2.0
// The queue's side of a log. Committing and reading: queue_log_commit.cc, queue_log_read.cc.
#include "storage/engine/queue_log_impl.h"

#include <algorithm>
#include <utility>

#include "storage/base/assert.h"

namespace warren::storage {

QueueLogImpl::QueueLogImpl(const LogState& state, const LogLimits& limits, Gathering& gathering,
                           ReadStarter& reader)
    : id_(state.id),
      limits_(limits),
      gathering_(gathering),
      reader_(reader),
      next_(state.next),
      handed_over_(state.next - 1),
      handed_over_durable_(state.next - 1),
      durable_(state.next - 1),
      live_count_(state.live_count),
      live_bytes_(state.live_bytes),
      live_weight_(state.live_weight),
      mark_(state.delivered_mark) {
  WARREN_ASSERT(state.id.value != 0);
  WARREN_ASSERT(state.head >= 1 && state.head <= state.next);
  stored_ = state.next > 1;
  acks_stored_ = stored_;
  has_due_ = state.has_due;
  has_returns_ = state.has_returns;
  expires_ = state.expires;
  has_shared_ = state.has_shared;
  damaged_ = state.estimated;
  if (state.live_count > 0 || (damaged_ && state.head < state.next))
    keep_unread(state.head, state.next);
}

void QueueLogImpl::touch() {
  if (touched_) return;
  touched_ = true;
  gathering_.touched.push_back(this);
}

void QueueLogImpl::append(Seq seq, BlockRef block, Durability durability, const CommitToken* token,
                          const MessageNotes& notes, const BodyId& body) {
  WARREN_INVARIANT(S1, seq >= next_);
  WARREN_ASSERT(block != nullptr);
  WARREN_ASSERT(notes.due_ms == 0 || durability == Durability::durable);
  next_ = seq + 1;
  const std::size_t bytes = block->size();
  std::size_t counted = bytes;
  if (durability == Durability::durable) {
    ++open_durable_count_;
    open_durable_bytes_ += bytes;
    open_durable_weight_ += notes.weight;
    if (body) {
      const bool first = std::exchange(gathering_.last_body, body) != body;
      open_shared_.push_back(OpenShared{seq, body, first});
      if (!first) counted = std::min(bytes, kSharedEntryBytes);
    }
  }
  gathering_.open_bytes += counted;
  gathering_.uncommitted_bytes += counted;
  OpenEntry& entry = open_.emplace_back();
  entry.seq = seq;
  entry.block = std::move(block);
  entry.durability = durability;
  entry.notes = notes;
  if (token != nullptr) take_token(entry, *token);
  ++open_live_;
  touch();
}

void QueueLogImpl::take_token(OpenEntry& entry, const CommitToken& token) {
  entry.token = token;
  entry.has_token = true;
  ++gathering_.tokens_waiting;
  if (tokens_open_++ > 0) return;
  patient_ = forecast_.is_good();
  if (!patient_) ++gathering_.impatient_logs;
}

void QueueLogImpl::return_token(OpenEntry& entry) {
  entry.has_token = false;
  --gathering_.tokens_waiting;
  if (--tokens_open_ > 0) return;
  if (patient_) {
    forecast_.on_success();
  } else {
    --gathering_.impatient_logs;
  }
}

void QueueLogImpl::forget_open(OpenEntry& entry) {
  const std::size_t bytes = entry.block->size();
  const std::size_t counted = counted_bytes(entry, find_shared(entry.seq));
  gathering_.open_bytes -= counted;
  gathering_.uncommitted_bytes -= counted;
  if (entry.durability == Durability::durable) {
    --open_durable_count_;
    open_durable_bytes_ -= bytes;
    open_durable_weight_ -= entry.notes.weight;
  }
  if (entry.has_token) {
    return_token(entry);
    gathering_.ready.push_back(entry.token);
  }
  entry.block.reset();
  --open_live_;
}

QueueLogImpl::OpenEntry* QueueLogImpl::find_open(Seq seq) {
  if (open_.empty() || seq < open_.front().seq) return nullptr;
  // In order, the next one is right behind the last hit.
  if (open_hint_ < open_.size() && open_[open_hint_].seq == seq) return &open_[open_hint_];
  const auto found = std::ranges::lower_bound(open_, seq, {}, &OpenEntry::seq);
  if (found == open_.end() || found->seq != seq) return nullptr;
  return &*found;
}

std::optional<CommitToken> QueueLogImpl::detach_token(Seq seq) {
  OpenEntry* const entry = find_open(seq);
  if (entry == nullptr || entry->block == nullptr || !entry->has_token) return std::nullopt;
  return_token(*entry);
  return entry->token;
}

bool QueueLogImpl::hopes_in_vain() const {
  if (tokens_open_ == 0 || !patient_) return false;
  return std::ranges::any_of(open_, [this](const OpenEntry& entry) {
    return entry.seq < hoped_before_ && entry.block != nullptr && entry.has_token;
  });
}

bool QueueLogImpl::settle_open(Seq seq, std::uint64_t bytes) {
  OpenEntry* const entry = find_open(seq);
  if (entry == nullptr) return false;
  WARREN_ASSERT(entry->block != nullptr);
  WARREN_ASSERT(entry->block->size() == bytes);
  forget_open(*entry);
  open_hint_ = static_cast<std::size_t>(entry - open_.data()) + 1;
  if (open_live_ == 0) {
    open_.clear();
    open_shared_.clear();
    open_hint_ = 0;
  }
  return true;
}

void QueueLogImpl::settle(Seq seq, std::uint64_t bytes, const MessageNotes& notes) {
  if (notes.returns > 0) {
    new_returns_.erase(seq);
    if (has_returns_) dead_returns_.push_back(seq);
  }
  if (settle_open(seq, bytes)) return;
  if (forecast_.settled(seq)) gathering_.sampled.push_back(this);
  if (notes.due_ms != 0) dead_due_.push_back(DueEntry{notes.due_ms, seq, 0});
  if (const ChunkTable::Found found = durable_chunks_.find(seq); found.chunk != nullptr) {
    settle_durable(*found.chunk, found.index, bytes, notes);
    return;
  }
  if (settle_fetched(seq, bytes, notes)) return;
  const ChunkTable::Found found = paged_chunks_.find(seq);
  WARREN_ASSERT(found.chunk != nullptr);
  settle_paged(found);
}

void QueueLogImpl::count_out(std::uint64_t count, std::uint64_t bytes, std::uint64_t weight) {
  if (damaged_) {
    live_count_ -= std::min(live_count_, count);
    live_bytes_ -= std::min(live_bytes_, bytes);
  } else {
    WARREN_INVARIANT(S15, live_count_ >= count && live_bytes_ >= bytes);
    live_count_ -= count;
    live_bytes_ -= bytes;
  }
  // A store of before the weights begins with a guess.
  live_weight_ = live_count_ == 0 ? 0 : live_weight_ - std::min(live_weight_, weight);
}

void QueueLogImpl::settle_durable(ChunkMeta& chunk, std::uint32_t index, std::uint64_t bytes,
                                  const MessageNotes& notes) {
  const bool newly = chunk.acks.set(index);
  WARREN_ASSERT(newly);
  count_out(1, bytes, notes.weight);
  state_dirty_ = true;
  touch();
  if (!chunk.live()) {
    note_death(chunk);
    if (durable_chunks_.holds(chunk)) durable_chunks_.bury(chunk);
  } else if (!chunk.dirty) {
    chunk.dirty = true;
    dirty_.push_back(chunk.base);
  }
}

void QueueLogImpl::settle_paged(ChunkTable::Found found) {
  ChunkMeta& chunk = *found.chunk;
  const bool newly = chunk.acks.set(found.index);
  WARREN_ASSERT(newly);
  if (chunk.live()) return;  // nothing on disk needs to know: it is never read back
  dead_paged_.push_back(chunk.base);
  paged_chunks_.bury(chunk);
  touch();
}

void QueueLogImpl::settle_range(Seq from, Seq to, std::uint64_t count, std::uint64_t bytes,
                                std::uint64_t weight) {
  if (from >= to) return;
  WARREN_ASSERT(to <= next_ && (open_.empty() || open_.front().seq >= to));
  WARREN_ASSERT(!durable_chunks_.any_live(from, to - 1));
  WARREN_ASSERT(!paged_chunks_.any_live(from, to - 1));
  count_out(count, bytes, weight);
  std::erase_if(fetched_, [&](const auto& one) { return one.first >= from && one.first < to; });
  if (fetch_callback_) fetch_settled_.emplace_back(from, to);
  if (read_.has_value() && from < read_->to && to > read_->from) {
    read_->settled.emplace_back(from, to);
  }
  if (unread_from_ < unread_to_) {
    if (from <= unread_from_) unread_from_ = std::max(unread_from_, to);
    if (to >= unread_to_) unread_to_ = std::min(unread_to_, from);
  }
  if (count == 0 && !damaged_ && !spilled_) return;
  dead_ranges_.emplace_back(from, to);
  state_dirty_ = state_dirty_ || count > 0;
  touch();
}

void QueueLogImpl::release(Seq from, Seq to) {
  if (from >= to) return;
  WARREN_ASSERT(to <= next_ && (open_.empty() || open_.front().seq >= to));
  WARREN_ASSERT(to <= durable_ + 1 || !durable_chunks_.any_live(durable_ + 1, to - 1));
  durable_chunks_.release(from, to);
  paged_chunks_.release(from, to);
  keep_unread(from, to);
}

void QueueLogImpl::keep_unread(Seq from, Seq to) {
  if (unread_from_ >= unread_to_) {
    unread_from_ = from;
    unread_to_ = to;
    return;
  }
  unread_from_ = std::min(unread_from_, from);
  unread_to_ = std::max(unread_to_, to);
}

bool QueueLogImpl::may_deliver(Seq seq) {
  const bool rides_along = seq > handed_over_durable_;
  if (!mark_.covers(seq) && !rides_along && durable_chunks_.find(seq).chunk != nullptr) {
    refused_ = std::max(refused_, seq);
    mark_.too_slow();
    mark_.request(seq);
    gathering_.mark_wanted = true;
    state_dirty_ = true;
    touch();
    return false;
  }
  mark_.delivered(seq);
  if (mark_.wants_more(handed_over_durable_) && durable_chunks_.any_live(seq, seq)) {
    mark_.request(seq);
    gathering_.mark_wanted = true;
    state_dirty_ = true;
    touch();
  }
  return true;
}

Seq QueueLogImpl::head() const {
  Seq head = open_live_ > 0 ? open_.front().seq : next_;
  if (unread_from_ < unread_to_) head = std::min(head, unread_from_);
  if (const auto base = durable_chunks_.first_base(); base.has_value()) {
    head = std::min(head, *base);
  }
  if (const auto base = paged_chunks_.first_base(); base.has_value()) head = std::min(head, *base);
  return head;
}

LogState QueueLogImpl::state() const {
  LogState state;
  state.id = id_;
  state.head = head();
  state.next = next_;
  state.live_count = live_count_ + open_durable_count_;
  state.live_bytes = live_bytes_ + open_durable_bytes_;
  state.live_weight = live_weight_ + open_durable_weight_;
  state.has_due = has_due_;
  state.has_returns = has_returns_;
  state.expires = expires_;
  state.has_shared = has_shared_;
  state.estimated = damaged_;
  state.delivered_mark = std::max(mark_.durable(), mark_.exact());
  return state;
}

}  // namespace warren::storage
