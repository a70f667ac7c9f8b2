// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/repair_plan.h"

#include "storage/base/log.h"
#include "storage/record/definition_record.h"

namespace warren::storage {

Status RepairPlan::make() {
  plan_tables();
  WARREN_TRY(catalog_, read_catalog(*view_.database));
  WARREN_CHECK(plan_records());
  plan_vhosts();
  WARREN_TRY(notes_, read_notes(*view_.database, [this](const DamagedRecord& record) {
               return plan_record(record);
             }));
  WARREN_CHECK(read_bodies());
  WARREN_CHECK(plan_chunks());
  for (const auto& [log, state] : catalog_.states) {
    if (!seen_.contains(log)) WARREN_CHECK(plan_state(log, Found{}));
  }
  for (const auto& [log, index] : catalog_.queue_of_log) {
    const bool known = seen_.contains(log) || catalog_.states.contains(log);
    if (!known && state_lost(log)) WARREN_CHECK(plan_state(log, Found{}));
  }
  WARREN_CHECK(plan_bodies());
  plan_meta();
  return {};
}

void RepairPlan::plan_tables() {
  for (const DamagedTable& table : view_.database->damaged_tables()) {
    act(table_place(table), "what is sound of it is written anew: " + table_text(table));
    ++report_.tables;
  }
}

// What is in a virtual host tells its name.
void RepairPlan::plan_vhosts() {
  if (!losses_.touches(Family::definitions, kVhostKind, kBehindVhostKind)) return;
  std::set<std::string> known;
  for (const Definition& definition : catalog_.definitions) {
    if (const auto* const vhost = std::get_if<VhostDefinition>(&definition)) {
      known.insert(vhost->name);
    }
  }
  for (const Definition& definition : catalog_.definitions) {
    std::visit(
        [&](const auto& one) {
          if constexpr (requires { one.vhost; }) {
            if (!known.insert(one.vhost).second) return;
            const VhostDefinition vhost{one.vhost};
            act(definition_name(vhost), "defined again for " + definition_name(definition));
            batch_.put(Family::definitions, encode_definition_key(vhost), encode_definition(vhost));
          }
        },
        definition);
  }
}

// Definitions and states that do not parse: a start refuses them.
Status RepairPlan::plan_records() {
  for (const DamagedRecord& record : catalog_.damaged) {
    if (record.family == Family::meta) continue;  // written anew below
    WARREN_CHECK(plan_record(record));
  }
  for (const auto& [one, other] : catalog_.shared_logs) {
    report_.by_hand.push_back(fmt::format("{} shares its log with {}: one of them has to go",
                                          definition_name(catalog_.definitions[other]),
                                          definition_name(catalog_.definitions[one])));
  }
  return {};
}

Status RepairPlan::plan_record(const DamagedRecord& record) {
  const std::string where = fmt::format(
      "family {} key \"{}\"", kFamilyNames[family_index(record.family)], printable(record.key));
  WARREN_CHECK(take_out(record.family, record.key, record.value, record.error.text));
  act(where, "moved to the quarantine: " + record.error.text);
  batch_.erase(record.family, record.key);
  return {};
}

Status RepairPlan::plan_chunks() {
  ChunkWalk walk(*view_.database, ChunkKey{}, ChunkKey{LogId(kChunkKeyMax), kChunkKeyMax});
  for (; walk.valid(); walk.next()) {
    const WalkedChunk& chunk = walk.chunk();
    if (chunk.kind != WalkedChunk::Kind::malformed_key && (!in_log_ || chunk.key.log != log_)) {
      WARREN_CHECK(end_log());
      log_ = chunk.key.log;
      found_ = Found{};
      in_log_ = true;
      seen_.insert(log_);
    }
    WARREN_CHECK(plan_chunk(chunk));
  }
  WARREN_CHECK(end_log());
  return walk.status();
}

// Settled in a commit whose deletion is lost: its queue begins behind it, or the sweep that came
// with the deletion is on record.
bool RepairPlan::is_back(const ChunkKey& key) const {
  if (sweeps_.covers(key)) return true;
  const auto state = catalog_.states.find(key.log);
  return state != catalog_.states.end() && key.base < state->second.head &&
         losses_.holds(Family::queue_log, encode_chunk_key(key)) && !state_lost(key.log);
}

bool RepairPlan::state_lost(LogId log) const {
  return losses_.holds(Family::queue_state, encode_log_key(log));
}

bool RepairPlan::is_disowned(LogId log) const {
  return catalog_.queue(log) == nullptr &&
         losses_.touches(Family::definitions, kQueueKind, kBehindQueueKind);
}

Status RepairPlan::disown(const WalkedChunk& chunk) {
  const std::string why = "the definition of its queue is lost";
  WARREN_CHECK(take_out(Family::queue_log, chunk.raw_key, std::string(chunk.value), why));
  batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
  if (chunk.has_acks) {
    WARREN_CHECK(take_out(Family::queue_acks, chunk.raw_key, std::string(chunk.raw_acks), why));
    batch_.erase(Family::queue_acks, std::string(chunk.raw_key));
  }
  // Its bodies go to the quarantine when nobody else refers to them.
  batch_.erase(Family::queue_shared, std::string(chunk.raw_key));
  return {};
}

Status RepairPlan::plan_chunk(const WalkedChunk& chunk) {
  switch (chunk.kind) {
    case WalkedChunk::Kind::sound:
      return plan_sound(chunk);
    case WalkedChunk::Kind::damaged:
      WARREN_CHECK(
          take_out(Family::queue_log, chunk.raw_key, std::string(chunk.value), chunk.error->text));
      act(place(chunk.key), "moved to the quarantine: " + chunk.error->text);
      batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
      found_.last = std::max(found_.last, chunk.key.base);
      found_.damaged = true;
      WARREN_CHECK(plan_shared(chunk));
      return plan_acks(chunk);
    case WalkedChunk::Kind::unreadable:
      WARREN_CHECK(plan_unreadable(chunk));
      WARREN_CHECK(plan_shared(chunk));
      return plan_acks(chunk);
    case WalkedChunk::Kind::missing:
      WARREN_CHECK(plan_shared(chunk));
      return plan_acks(chunk);
    case WalkedChunk::Kind::malformed_key:
      break;
  }
  const Family family = chunk.has_acks     ? Family::queue_acks
                        : chunk.has_shared ? Family::queue_shared
                                           : Family::queue_log;
  const Bytes value = chunk.has_acks     ? chunk.raw_acks
                      : chunk.has_shared ? chunk.raw_shared
                                         : chunk.value;
  WARREN_CHECK(take_out(family, chunk.raw_key, std::string(value), chunk.error->text));
  act(fmt::format("key \"{}\"", printable(chunk.raw_key)),
      "moved to the quarantine: " + chunk.error->text);
  batch_.erase(family, std::string(chunk.raw_key));
  return {};
}

Status RepairPlan::plan_sound(const WalkedChunk& chunk) {
  const bool back = is_back(chunk.key);
  const AckSet settled = back ? AckSet(0) : give_up_lost(chunk);
  if (back || settled.all()) {
    act(place(chunk.key), "wholly settled: removed");
    batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
    batch_.erase(Family::queue_acks, std::string(chunk.raw_key));
    batch_.erase(Family::queue_shared, std::string(chunk.raw_key));
    found_.last = std::max(found_.last, chunk.reader->last());
    return {};
  }
  count(chunk, settled);
  if (is_disowned(chunk.key.log)) return disown(chunk);
  WARREN_CHECK(plan_acks(chunk));
  const std::uint32_t before = chunk.acks.has_value() ? chunk.acks->settled() : 0;
  if (settled.settled() != before) {
    batch_.put(Family::queue_acks, std::string(chunk.raw_key), settled.encode());
  }
  return plan_shared(chunk);
}

// A settled set goes when it is of no use or its chunk goes.
Status RepairPlan::plan_acks(const WalkedChunk& chunk) {
  if (!chunk.has_acks) return {};
  if (chunk.kind == WalkedChunk::Kind::sound && !chunk.acks_error.has_value()) return {};
  const std::string why =
      chunk.acks_error.has_value() ? chunk.acks_error->text : "settled set without its chunk";
  std::optional<std::string> value;
  if (!chunk.raw_acks.empty()) value = std::string(chunk.raw_acks);
  WARREN_CHECK(take_out(Family::queue_acks, chunk.raw_key, std::move(value), why));
  act(place(chunk.key), "settled set moved to the quarantine: " + why);
  batch_.erase(Family::queue_acks, std::string(chunk.raw_key));
  return {};
}

Status RepairPlan::plan_unreadable(const WalkedChunk& chunk) {
  const std::string end = encode_chunk_key(chunk.gap_end);
  const bool single =
      chunk.gap_end.log == chunk.key.log && chunk.gap_end.base == chunk.key.base + 1;
  std::optional<std::string> value;
  if (single) value = view_.database->salvage(Family::queue_log, chunk.raw_key);
  const bool salvaged = value.has_value();
  WARREN_CHECK(take_out(Family::queue_log, chunk.raw_key, std::move(value), chunk.error->text));
  act(place(chunk.key),
      fmt::format("{}: {}", salvaged ? "moved to the quarantine" : "cannot be read, given up",
                  chunk.error->text));
  if (single) {
    batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
  } else {
    batch_.erase_range(Family::queue_log, std::string(chunk.raw_key), end);
  }
  found_.last = std::max(found_.last, chunk.key.base);
  found_.damaged = true;
  return {};
}

}  // namespace warren::storage
