// SPDX-License-Identifier: Apache-2.0
// Messages whose block is stored once for several logs: a log keeps a reference in their place, and
// says which references come and go. The bodies are the committer's (shared_bodies). Keeps: S6, S7.
#include <algorithm>
#include <utility>

#include "storage/base/log.h"
#include "storage/engine/queue_log_impl.h"
#include "storage/record/body_record.h"

namespace warren::storage {

const QueueLogImpl::OpenShared* QueueLogImpl::find_among_shared(Seq seq) const {
  const auto found = std::ranges::lower_bound(open_shared_, seq, {}, &OpenShared::seq);
  return found != open_shared_.end() && found->seq == seq ? &*found : nullptr;
}

void QueueLogImpl::add_shared(HandOver& out, Part& part, const OpenEntry& entry,
                              const OpenShared& shared) {
  const BodyRef ref{shared.body, static_cast<std::uint32_t>(entry.block->size())};
  part.references.push_back(encode_body_ref(ref));
  part.shared.push_back(static_cast<std::uint32_t>(part.entries.size()));
  part.bodies.push_back(shared.body);
  part.entries.push_back(ChunkEntry{entry.seq, part.references.back()});
  out.shared.push_back(BodyUse{shared.body, entry.block});
  if (shared.counted) out.shared_bytes += entry.block->size();
}

// All of the chunk is settled: it goes with the next hand-over, and its references with it.
void QueueLogImpl::note_death(ChunkMeta& chunk) {
  dead_.push_back(DeadChunk{chunk.base, chunk.acks_stored, !chunk.bodies.empty()});
  dead_bodies_.insert(dead_bodies_.end(), chunk.bodies.begin(), chunk.bodies.end());
  chunk.bodies.clear();
}

// A body that a read did not find may be of a message that was settled while it ran. All others are
// lost, and leave the counters.
void QueueLogImpl::count_lost(ReadOutcome& outcome, const ActiveRead& read) {
  for (const ReadOutcome::Lost& lost : outcome.lost) {
    if (any_holds(read.settled, lost.seq)) continue;
    if (Fetched* const fetched = find_fetched(lost.seq)) {
      if (!fetched->meta.acks.set(*fetched->meta.index_of(lost.seq))) continue;
    }
    ++outcome.damaged;
    outcome.damaged_bytes += lost.bytes;
    WLOG(error, "shared body damaged, not delivered log={} seq={} bytes={} error=\"{}\"", id_.value,
         lost.seq, lost.bytes, lost.error.text);
  }
}

}  // namespace warren::storage
