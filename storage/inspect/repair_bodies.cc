// SPDX-License-Identifier: Apache-2.0
#include "storage/base/log.h"
#include "storage/inspect/repair_plan.h"
#include "storage/record/body_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {

// A message whose body cannot be had counts as settled: nobody will ever get it.
AckSet RepairPlan::give_up_lost(const WalkedChunk& chunk) {
  AckSet settled = chunk.acks.value_or(AckSet(chunk.reader->count()));
  for (std::uint32_t i = 0; i < chunk.reader->count(); ++i) {
    const auto ref = chunk.reader->shared(i);
    if (!ref.has_value() || settled.test(i)) continue;
    const auto trouble = bodies_.trouble(*ref);
    if (!trouble.has_value()) continue;
    act(place(chunk.key),
        fmt::format("message {} given up: {}", chunk.reader->entry(i).seq, *trouble));
    settled.set(i);
    found_.damaged = true;
  }
  return settled;
}

// The record of what a chunk refers to says what the chunk says, and goes with it.
Status RepairPlan::plan_shared(const WalkedChunk& chunk) {
  std::vector<BodyId> bodies;
  if (chunk.kind == WalkedChunk::Kind::sound) {
    bodies = chunk.reader->bodies();
  } else if (chunk.kind == WalkedChunk::Kind::missing && sweeps_.covers(chunk.key)) {
    if (chunk.shared.has_value()) bodies_.refer(*chunk.shared);
    return {};  // the broker is at it
  }
  bodies_.refer(bodies);
  found_.shared = found_.shared || !bodies.empty();
  if (!chunk.has_shared && bodies.empty()) return {};
  if (chunk.shared.has_value() && *chunk.shared == bodies) return {};
  if (chunk.shared_error.has_value()) {
    std::optional<std::string> value;
    if (!chunk.raw_shared.empty()) value = std::string(chunk.raw_shared);
    WARREN_CHECK(
        take_out(Family::queue_shared, chunk.raw_key, std::move(value), chunk.shared_error->text));
  }
  if (bodies.empty()) {
    act(place(chunk.key), "references without their chunk: removed");
    batch_.erase(Family::queue_shared, std::string(chunk.raw_key));
  } else {
    act(place(chunk.key), fmt::format("refers to {} bodies: noted again", bodies.size()));
    batch_.put(Family::queue_shared, std::string(chunk.raw_key), encode_shared(bodies));
  }
  return {};
}

Status RepairPlan::read_bodies() {
  WARREN_TRY(sweeps_, read_sweeps(*view_.database));
  for (const DamagedRecord& record : sweeps_.damaged) WARREN_CHECK(plan_record(record));
  StoredBodies::Handlers handlers;
  handlers.on_damaged = [this](const DamagedRecord& record) { return plan_record(record); };
  handlers.on_gap = [this](const BodyGap& gap) { return plan_body_gap(gap); };
  return bodies_.read(*view_.database, handlers);
}

Status RepairPlan::plan_body_gap(const BodyGap& gap) {
  const auto from = decode_body_key(gap.from);
  const auto to = decode_body_key(gap.to);
  const bool single =
      from.has_value() && to.has_value() && *to == BodyId{from->origin, from->number + 1};
  std::optional<std::string> value;
  if (single) value = view_.database->salvage(Family::bodies, gap.from);
  const bool salvaged = value.has_value();
  WARREN_CHECK(take_out(Family::bodies, gap.from, std::move(value), gap.error.text));
  act(fmt::format("family bodies key \"{}\"", printable(gap.from)),
      fmt::format("{}: {}", salvaged ? "moved to the quarantine" : "cannot be read, given up",
                  gap.error.text));
  if (single) {
    batch_.erase(Family::bodies, gap.from);
  } else {
    batch_.erase_range(Family::bodies, gap.from, gap.to);
  }
  return {};
}

// S6: each body that is referred to has its count, and no other body is there.
Status RepairPlan::plan_bodies() {
  for (const auto& [id, body] : bodies_.all()) {
    const std::string key = encode_body_key(id);
    if (!body.present) {
      if (!body.count.has_value()) continue;
      act(body_name(id), "count without its body: removed");
      batch_.erase(Family::body_counts, key);
    } else if (body.references == 0) {
      WARREN_TRY(auto value, view_.database->get(Family::bodies, key));
      WARREN_CHECK(take_out(Family::bodies, key, std::move(value), "nothing refers to the body"));
      act(body_name(id), "nothing refers to it: moved to the quarantine");
      batch_.erase(Family::bodies, key);
      batch_.erase(Family::body_counts, key);
    } else if (body.count != body.references) {
      act(body_name(id),
          fmt::format("{} references (was {})", body.references, body.count.value_or(0)));
      batch_.put(Family::body_counts, key, encode_body_count(body.references));
    }
  }
  return {};
}

}  // namespace warren::storage
