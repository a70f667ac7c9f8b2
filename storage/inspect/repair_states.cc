// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "storage/inspect/repair_plan.h"
#include "storage/record/store_meta.h"

namespace warren::storage {
namespace {

// As far as a start reserves.
constexpr std::uint64_t kLogIdReserve = 1000;
// Numbers that an older record says are free may have been given away since: so many are left out.
constexpr std::uint64_t kLeap = std::uint64_t{1} << 32;

}  // namespace

void RepairPlan::count(const WalkedChunk& chunk, const AckSet& settled) {
  const std::uint64_t before = found_.count;
  for (std::uint32_t i = 0; i < chunk.reader->count(); ++i) {
    if (settled.test(i)) continue;
    if (found_.first == 0) found_.first = chunk.key.base;
    ++found_.count;
    found_.bytes += chunk.reader->block_bytes(i);
    if (!options_.weigh) continue;
    const auto block = block_of_entry(*view_.database, *chunk.reader, i);
    if (block.ok()) found_.weight += options_.weigh((*block)->bytes());
  }
  found_.last = std::max(found_.last, chunk.reader->last());
  if (losses_.holds(Family::queue_log, chunk.raw_key) ||
      losses_.holds(Family::queue_acks, chunk.raw_key)) {
    found_.doubtful += found_.count - before;
    found_.doubtful_last = chunk.reader->last();
  }
}

Status RepairPlan::end_log() {
  return in_log_ ? plan_state(log_, found_) : Status();
}

LogStateRecord RepairPlan::wanted_state(LogId log, const LogStateRecord& state,
                                        const Found& found) const {
  LogStateRecord wanted = state;
  const bool stored = catalog_.states.contains(log);
  wanted.live_count = found.count;
  wanted.live_bytes = found.bytes;
  const bool miscounted = found.count != state.live_count || found.bytes != state.live_bytes;
  if (options_.weigh && miscounted) wanted.live_weight = found.weight;
  if (found.count == 0) wanted.live_weight = 0;
  const auto notes = notes_.find(log);
  if (notes != notes_.end()) {
    wanted.has_due = state.has_due || notes->second.due;
    wanted.has_returns = state.has_returns || notes->second.returns;
  }
  wanted.has_shared = state.has_shared || found.shared;
  wanted.estimated = false;  // what is damaged has been moved away
  wanted.next = std::max(state.next, found.last + 1);
  if (state_lost(log)) wanted.next += kLeap;
  if (found.count > 0) wanted.head = std::min(state.head, found.first);
  if (found.count == 0) wanted.head = wanted.next;
  if (!stored || state_lost(log)) {
    wanted.head = found.count > 0 ? found.first : wanted.next;
    // Nobody knows what was delivered: all of it may have been. Nor what it was.
    wanted.delivered_mark = std::max(state.delivered_mark, found.last);
    wanted.expires = true;
  } else if (found.count == 0 && state.head <= state.next && state.live_count == 0) {
    wanted.head = state.head;  // sound as it is
  }
  // What is back was settled, hence delivered or dropped.
  const Seq doubtful = log_salvaged_ ? found.last : found.doubtful_last;
  if (miscounted) wanted.delivered_mark = std::max(wanted.delivered_mark, doubtful);
  return wanted;
}

// What the state says was there and is not; in words, or nothing.
std::string RepairPlan::count_losses(LogId log, const LogStateRecord& state, const Found& found) {
  const bool lost = found.damaged || losses_.touches(Family::queue_log, encode_chunk_key({log, 0}),
                                                     encode_chunk_key({log, kChunkKeyMax}));
  if (state_lost(log) || !catalog_.states.contains(log)) {
    return lost ? "; how many are lost cannot be told" : "";
  }
  const std::uint64_t said = state.live_count;
  if (found.count == said && found.bytes == state.live_bytes) return "";
  const std::uint64_t sure = found.count - found.doubtful;
  const std::uint64_t again = found.count - std::min(said, found.count);
  const std::uint64_t least = said - std::min(said, found.count);
  const std::uint64_t most = said - std::min(said, sure);
  if (log_salvaged_) {
    report_.lost_at_least += least;
    report_.lost_at_most += most;
    if (least > 0) return fmt::format("; at least {} messages are lost", least);
    return fmt::format("; at least {} settled messages come again", again);
  }
  if (!lost || most == 0) {
    return again > 0 && found.doubtful > 0 ? fmt::format("; {} settled messages come again", again)
                                           : "";
  }
  report_.lost_at_least += least;
  report_.lost_at_most += most;
  if (least == most) return fmt::format("; {} messages are lost", least);
  return fmt::format(
      "; at least {} and at most {} messages are lost, at least {} and at most {} "
      "settled ones come again",
      least, most, again, found.doubtful);
}

Status RepairPlan::plan_state(LogId log, const Found& found) {
  const auto stored = catalog_.states.find(log);
  const bool known = stored != catalog_.states.end();
  const bool defined = catalog_.queue(log) != nullptr;
  const std::string where = fmt::format("log {}, {}", log.value, catalog_.log_name(log));
  if (is_disowned(log)) {
    act(where, fmt::format("the definition of its queue is lost: {} messages moved to the "
                           "quarantine",
                           found.count));
    batch_.erase_range(Family::queue_due, encode_due_key({log, 0, 0}),
                       encode_due_key({LogId(log.value + 1), 0, 0}));
    batch_.erase_range(Family::queue_returns, encode_message_key({log, 0}),
                       encode_message_key({LogId(log.value + 1), 0}));
    if (!known) return {};
    batch_.erase(Family::queue_state, encode_log_key(log));
    return take_out(Family::queue_state, encode_log_key(log), encode_log_state(stored->second),
                    "the definition of its queue is lost");
  }
  // A log of no queue: the next start removes it, but only if it has a state.
  if (!defined && known) return {};
  if (!known && found.last == 0 && !state_lost(log)) return {};
  const LogStateRecord state = known ? stored->second : LogStateRecord();
  const LogStateRecord wanted = wanted_state(log, state, found);
  const std::string losses = count_losses(log, state, found);
  if (known && wanted == state) return {};
  batch_.put(Family::queue_state, encode_log_key(log), encode_log_state(wanted));
  if (!defined) {
    act(where, "made known to the next start, which removes it");
    return {};
  }
  act(where, fmt::format("{} messages of {} bytes, from {} to {} (was {} of {}, from {} to {}){}",
                         wanted.live_count, wanted.live_bytes, wanted.head, wanted.next,
                         state.live_count, state.live_bytes, state.head, state.next, losses));
  return {};
}

void RepairPlan::plan_meta() {
  LogId highest;
  for (const auto& [log, index] : catalog_.queue_of_log) highest = std::max(highest, log);
  for (const auto& [log, state] : catalog_.states) highest = std::max(highest, log);
  for (const LogId log : seen_) highest = std::max(highest, log);
  std::uint64_t starts = 0;
  for (const auto& [id, body] : bodies_.all()) {
    starts = std::max(starts, id.origin / kBodyOriginsPerStart);
  }
  StoreMeta meta;
  const bool lost = losses_.holds(Family::meta, kStoreMetaKey);
  if (catalog_.meta.has_value()) {
    meta = *catalog_.meta;
    const bool names_free = highest.value < meta.log_id_limit && starts <= meta.starts;
    if (!lost && names_free && meta.store_id == view_.marker.store_id) return;
  } else if (catalog_.definitions.empty() && catalog_.states.empty() && seen_.empty() &&
             catalog_.damaged.empty()) {
    return;  // a new store: its first start writes it
  }
  meta.store_id = view_.marker.store_id;
  meta.log_id_limit = std::max(meta.log_id_limit, highest.value + kLogIdReserve);
  meta.starts = std::max(meta.starts, starts);
  if (lost) meta.log_id_limit += kLeap;
  act("store", fmt::format("describes itself as {}, log ids free from {}", meta.store_id,
                           meta.log_id_limit));
  batch_.put(Family::meta, std::string(kStoreMetaKey), encode_store_meta(meta));
}

}  // namespace warren::storage
