// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/shared_bodies.h"

#include <string>
#include <utility>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/record/body_record.h"

namespace warren::storage {
namespace {

void warn_of_count(const BodyId& body, std::string_view why) {
  WLOG(error, "count of a shared body is wrong, the body stays origin={} number={} error=\"{}\"",
       body.origin, body.number, why);
}

}  // namespace

Status SharedBodies::settle(const HandOvers& group, KvBatch& out) {
  Changes changes;
  for (const auto& hand_over : group) {
    for (const BodyUse& use : hand_over->shared) {
      Change& change = changes[use.body];
      change.block = use.block.get();
      ++change.added;
    }
    for (const BodyId& body : hand_over->released) ++changes[body].released;
  }
  return apply(changes, out);
}

Status SharedBodies::apply(const Changes& changes, KvBatch& out) {
  for (const auto& [body, change] : changes) {
    if (change.block == nullptr) {
      WARREN_CHECK(lower(body, change.released, out));
      continue;
    }
    WARREN_INVARIANT(S6, change.released <= change.added);
    if (change.released == change.added) continue;  // gone before it came
    const std::string key = encode_body_key(body);
    out.put(Family::bodies, key, encode_body(change.block->bytes()));
    out.put(Family::body_counts, key, encode_body_count(change.added - change.released));
  }
  return {};
}

// A count that cannot be right keeps the body: space is worth less than a message.
Status SharedBodies::lower(const BodyId& body, std::uint64_t by, KvBatch& out) {
  const std::string key = encode_body_key(body);
  const auto stored = store_.get(Family::body_counts, key);
  if (!stored.ok()) {
    if (stored.error().code != Errc::corruption) return stored.error();
    warn_of_count(body, stored.error().text);
    return {};
  }
  if (!stored->has_value()) {
    warn_of_count(body, "there is none");
    return {};
  }
  const auto count = decode_body_count(**stored);
  if (!count.ok() || *count < by) {
    warn_of_count(body, count.ok() ? "more references were released" : count.error().text);
    return {};
  }
  if (*count > by) {
    out.put(Family::body_counts, key, encode_body_count(*count - by));
    return {};
  }
  out.erase_once(Family::bodies, key);
  out.erase(Family::body_counts, key);
  return {};
}

void SharedBodies::add_sweeps(std::span<const SweepKey> ranges) {
  for (const SweepKey& range : ranges) sweeps_.push_back(Sweep{range, range.from});
}

Status SharedBodies::sweep() {
  Step step;
  step.left = sweep_records_max_;
  while (step.left > 0 && !sweeps_.empty()) {
    bool done = false;
    WARREN_CHECK(sweep_some(sweeps_.front(), step, done));
    if (done) sweeps_.pop_front();
  }
  WARREN_CHECK(apply(step.changes, step.batch));
  // A power loss may keep a later write and lose an earlier one, where the earlier one was not
  // synced and a log ended between them: the next step, or count, must not come without this one.
  return store_.commit(step.batch, WriteMode::synced);
}

Status SharedBodies::sweep_some(Sweep& sweep, Step& step, bool& done) {
  const LogId log = sweep.range.log;
  const std::string begin = encode_chunk_key({log, sweep.at});
  const auto cursor =
      store_.scan(Family::queue_shared, begin, encode_chunk_key({log, sweep.range.to}));
  for (; cursor->valid() && step.left > 0; cursor->next()) {
    --step.left;
    const auto key = decode_chunk_key(cursor->key());
    if (!key.has_value()) continue;
    sweep.at = key->base + 1;
    if (!step.seen.insert(*key).second) continue;
    const auto bodies = decode_shared(cursor->value());
    if (!bodies.ok()) {
      WLOG(error, "references damaged, their bodies stay log={} chunk={} error=\"{}\"", log.value,
           key->base, bodies.error().text);
      continue;
    }
    for (const BodyId& body : *bodies) ++step.changes[body].released;
  }
  step.batch.erase_range(Family::queue_shared, begin, encode_chunk_key({log, sweep.at}));
  if (cursor->valid()) return {};
  done = true;
  const Status status = cursor->status();
  if (status.ok()) {
    step.batch.erase(Family::meta, encode_sweep_key(sweep.range));
    return {};
  }
  if (status.error().code != Errc::corruption) return status;
  // The next start tries again: the range is still on record.
  WLOG(error, "references cannot be read, their bodies stay log={} from={} error=\"{}\"", log.value,
       sweep.at, status.error().text);
  return {};
}

}  // namespace warren::storage
