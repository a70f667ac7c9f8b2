// SPDX-License-Identifier: Apache-2.0
// What a log puts into a commit, and what it learns when the commit is durable.
#include <algorithm>

#include "storage/base/assert.h"
#include "storage/engine/queue_log_impl.h"
#include "storage/record/body_record.h"
#include "storage/record/chunk_format.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {

void QueueLogImpl::hand_over(HandOver& out, Instant now) {
  LogCommit commit;
  commit.log = id_;
  // Deletions first: what is added below is never among them.
  commit.number = ++hand_overs_;
  hand_over_settled(out);
  hand_over_notes(out);
  hand_over_open(out, commit, now);
  hand_over_state(out, commit);
  touched_ = false;
  if (commit.last != 0 || commit.mark != 0 || !fetched_.empty()) out.logs.push_back(commit);
}

void QueueLogImpl::hand_over_open(HandOver& out, LogCommit& commit, Instant now) {
  if (open_live_ == 0) return;
  Part parts[2];  // by Durability
  for (OpenEntry& entry : open_) {
    if (entry.block == nullptr) continue;
    Part& part = parts[static_cast<std::size_t>(entry.durability)];
    const std::size_t bytes = entry.block->size() + kChunkIndexEntryBytes;
    const bool full =
        !part.entries.empty() &&
        (part.bytes + bytes > limits_.chunk_bytes_max || part.entries.size() == kChunkEntriesMax ||
         entry.seq - part.entries.front().seq > kChunkSpanMax);
    if (full) {
      add_chunk(out, part, entry.durability);
      part.clear();
    }
    const OpenShared* const shared = find_shared(entry.seq);
    if (shared == nullptr) {
      part.entries.push_back(ChunkEntry{entry.seq, entry.block->bytes()});
    } else {
      add_shared(out, part, entry, *shared);
    }
    expires_ = expires_ || entry.notes.expires;
    if (entry.notes.due_ms != 0) {
      has_due_ = true;
      out.batch.put(Family::queue_due, encode_due_key({id_, entry.notes.due_ms, entry.seq}),
                    encode_due_chunk(part.entries.front().seq));
    }
    part.bytes += bytes;
    const std::size_t counted = counted_bytes(entry, shared);
    out.appended_bytes += counted;
    gathering_.open_bytes -= counted;
    if (entry.has_token) out.tokens.push_back(entry.token);
    if (commit.first == 0) commit.first = entry.seq;
    commit.last = entry.seq;
  }
  for (const Durability durability : {Durability::durable, Durability::paged}) {
    Part& part = parts[static_cast<std::size_t>(durability)];
    if (!part.entries.empty()) add_chunk(out, part, durability);
  }
  WARREN_INVARIANT(S2, commit.first > handed_over_ && commit.last < next_);
  handed_over_ = commit.last;
  if (tokens_open_ > 0) {
    forecast_.on_handed_over(commit.first, commit.last, open_live_, now);
    gathering_.tokens_waiting -= tokens_open_;
    if (!patient_) --gathering_.impatient_logs;
    tokens_open_ = 0;
    hoped_before_ = 0;
  }
  live_count_ += open_durable_count_;
  live_bytes_ += open_durable_bytes_;
  live_weight_ += open_durable_weight_;
  state_dirty_ = state_dirty_ || open_durable_count_ > 0;
  open_durable_count_ = 0;
  open_durable_bytes_ = 0;
  open_durable_weight_ = 0;
  open_.clear();
  open_shared_.clear();
  open_live_ = 0;
  open_hint_ = 0;
}

void QueueLogImpl::add_chunk(HandOver& out, Part& part, Durability durability) {
  ChunkMeta meta = make_chunk_meta(part.entries);
  std::string key = encode_chunk_key({id_, meta.base});
  std::string value = encode_chunk(id_, part.entries, part.shared);
  if (durability == Durability::durable) {
    WARREN_INVARIANT(S1, meta.base > handed_over_durable_);
    handed_over_durable_ = meta.last;
    stored_ = true;
    if (!part.bodies.empty()) {
      has_shared_ = true;
      out.batch.put(Family::queue_shared, key, encode_shared(part.bodies));
      meta.bodies = std::move(part.bodies);
    }
    out.batch.put(Family::queue_log, std::move(key), std::move(value));
    durable_chunks_.insert(std::move(meta));
  } else {
    spilled_ = true;
    out.spill.put(Family::spill, std::move(key), std::move(value));
    paged_chunks_.insert(std::move(meta));
  }
}

void QueueLogImpl::hand_over_settled(HandOver& out) {
  for (const Seq base : dirty_) {
    ChunkMeta* chunk = durable_chunks_.at_base(base);
    if (const auto fetched = fetched_.find(base); fetched != fetched_.end()) {
      fetched->second.changed = hand_overs_;
      if (fetched->second.meta.live()) chunk = &fetched->second.meta;
    }
    if (chunk == nullptr) continue;  // all of it is settled by now: it is in dead_
    chunk->dirty = false;
    chunk->acks_stored = true;
    acks_stored_ = true;
    out.batch.put(Family::queue_acks, encode_chunk_key({id_, base}), chunk->acks.encode());
  }
  dirty_.clear();
  for (const DeadChunk& dead : dead_) {
    if (const auto fetched = fetched_.find(dead.base); fetched != fetched_.end()) {
      fetched->second.changed = hand_overs_;
    }
    std::string key = encode_chunk_key({id_, dead.base});
    if (dead.has_acks) out.batch.erase(Family::queue_acks, key);
    if (dead.has_shared) out.batch.erase(Family::queue_shared, key);
    out.batch.erase_once(Family::queue_log, std::move(key));
  }
  dead_.clear();
  out.released.insert(out.released.end(), dead_bodies_.begin(), dead_bodies_.end());
  dead_bodies_.clear();
  for (const Seq base : dead_paged_) {
    out.spill.erase_once(Family::spill, encode_chunk_key({id_, base}));
  }
  dead_paged_.clear();
  for (const auto& [from, to] : dead_ranges_) {
    std::string first = encode_chunk_key({id_, from});
    std::string end = encode_chunk_key({id_, to});
    if (acks_stored_) out.batch.erase_range(Family::queue_acks, first, end);
    if (has_returns_) out.batch.erase_range(Family::queue_returns, first, end);
    if (spilled_) out.spill.erase_range(Family::spill, first, end);
    if (has_shared_) {
      out.sweeps.push_back(SweepKey{id_, from, to});
      out.batch.put(Family::meta, encode_sweep_key(out.sweeps.back()), encode_sweep());
    }
    if (stored_) out.batch.erase_range(Family::queue_log, std::move(first), std::move(end));
  }
  dead_ranges_.clear();
}

void QueueLogImpl::hand_over_notes(HandOver& out) {
  if (due_reset_) {
    due_reset_ = false;
    out.batch.erase_range(Family::queue_due, encode_due_key({id_, 0, 0}),
                          encode_due_key({LogId(id_.value + 1), 0, 0}));
    for (const DueEntry& entry : new_due_) {
      out.batch.put(Family::queue_due, encode_due_key({id_, entry.due_ms, entry.seq}),
                    encode_due_chunk(entry.chunk));
    }
    new_due_.clear();
  }
  for (const DueEntry& entry : dead_due_) {
    out.batch.erase(Family::queue_due, encode_due_key({id_, entry.due_ms, entry.seq}));
  }
  dead_due_.clear();
  for (const Seq seq : dead_returns_) {
    out.batch.erase(Family::queue_returns, encode_message_key({id_, seq}));
  }
  dead_returns_.clear();
  for (const auto& [seq, returns] : new_returns_) {
    has_returns_ = true;
    state_dirty_ = true;
    out.batch.put(Family::queue_returns, encode_message_key({id_, seq}), encode_returns(returns));
  }
  new_returns_.clear();
}

LogStateRecord QueueLogImpl::record(Seq mark) const {
  LogStateRecord record;
  record.head = head();
  record.next = next_;
  record.live_count = live_count_;
  record.live_bytes = live_bytes_;
  record.delivered_mark = mark;
  record.live_weight = live_weight_;
  record.has_due = has_due_;
  record.has_returns = has_returns_;
  record.expires = expires_;
  record.has_shared = has_shared_;
  record.estimated = damaged_;
  return record;
}

void QueueLogImpl::hand_over_state(HandOver& out, LogCommit& commit) {
  if (!state_dirty_) return;
  state_dirty_ = false;
  // A log whose durable messages were all settled in the open list has nothing to remember.
  if (!stored_) return;
  commit.mark = mark_.hand_over(handed_over_durable_);
  WARREN_INVARIANT(S14, commit.mark >= mark_.exact());
  const LogStateRecord state = record(commit.mark);
  if (state.head == state.next && damaged_) {
    live_count_ = 0;
    live_bytes_ = 0;
    live_weight_ = 0;
  }
  WARREN_INVARIANT(S15, state.head < state.next || (live_count_ == 0 && live_bytes_ == 0));
  out.batch.put(Family::queue_state, encode_log_key(id_), encode_log_state(record(commit.mark)));
}

QueueLogImpl::Committed QueueLogImpl::committed(const LogCommit& commit) {
  Committed news;
  if (commit.last != 0) {
    WARREN_INVARIANT(S2, commit.last > durable_ && commit.last <= handed_over_);
    durable_ = commit.last;
    news.stored = durable_chunks_.any_live(commit.first, commit.last) ||
                  paged_chunks_.any_live(commit.first, commit.last);
  }
  hand_overs_durable_ = commit.number;
  evict_fetched();
  if (commit.mark != 0) {
    mark_.committed(commit.mark);
    if (refused_ != 0 && mark_.covers(refused_)) {
      refused_ = 0;
      news.mark_raised = true;
    }
  }
  return news;
}

std::optional<SweepKey> QueueLogImpl::drop(KvBatch& batch, KvBatch& spill) {
  for (OpenEntry& entry : open_) {
    if (entry.block != nullptr) forget_open(entry);
  }
  const std::string first = encode_chunk_key({id_, 0});
  const std::string end = encode_chunk_key({LogId(id_.value + 1), 0});
  if (spilled_) spill.erase_range(Family::spill, first, end);
  if (!stored_) return std::nullopt;
  std::optional<SweepKey> sweep;
  // An empty log has no chunks: do not burden the store with a range deletion.
  if (live_count_ > 0 || !dead_.empty() || !dead_ranges_.empty() || damaged_) {
    if (has_shared_) {
      sweep = SweepKey{id_, 0, kSweepAll};
      batch.put(Family::meta, encode_sweep_key(*sweep), encode_sweep());
    }
    batch.erase_range(Family::queue_log, first, end);
    if (acks_stored_) batch.erase_range(Family::queue_acks, first, end);
  }
  if (has_returns_) batch.erase_range(Family::queue_returns, first, end);
  if (has_due_) {
    batch.erase_range(Family::queue_due, encode_due_key({id_, 0, 0}),
                      encode_due_key({LogId(id_.value + 1), 0, 0}));
  }
  batch.erase(Family::queue_state, encode_log_key(id_));
  return sweep;
}

void QueueLogImpl::write_final_state(KvBatch& batch) {
  if (!stored_ || mark_.exact() == mark_.handed_over()) return;
  batch.put(Family::queue_state, encode_log_key(id_), encode_log_state(record(mark_.exact())));
}

}  // namespace warren::storage
