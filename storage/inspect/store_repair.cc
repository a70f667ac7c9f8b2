// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_repair.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "storage/base/log.h"
#include "storage/inspect/bodies.h"
#include "storage/inspect/catalog.h"
#include "storage/inspect/chunk_walk.h"
#include "storage/inspect/notes.h"
#include "storage/inspect/store_view.h"
#include "storage/kv/rocks_doctor.h"
#include "storage/kv/rocks_store.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
// As far as a start reserves.
constexpr std::uint64_t kLogIdReserve = 1000;

// Finds what has to be done. Bound: the batch grows with the damage, not with the store.
class Plan {
 public:
  Plan(StoreView& view, const RepairOptions& options) : view_(view), options_(options) {}

  Status make() {
    WARREN_TRY(catalog_, read_catalog(*view_.database));
    WARREN_CHECK(plan_records());
    WARREN_TRY(notes_, read_notes(*view_.database, [this](const DamagedRecord& record) {
                 return plan_record(record);
               }));
    WARREN_CHECK(read_bodies());
    WARREN_CHECK(plan_chunks());
    for (const auto& [log, state] : catalog_.states) {
      if (!seen_.contains(log)) plan_state(log, Found{});
    }
    WARREN_CHECK(plan_bodies());
    plan_meta();
    return {};
  }

  const KvBatch& batch() const { return batch_; }
  const RepairReport& report() const { return report_; }

 private:
  struct Found {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    std::uint64_t weight = 0;
    Seq first = 0;
    Seq last = 0;
    bool shared = false;  // some of it is stored outside the log
  };

  void act(const std::string& where, const std::string& what) {
    ++report_.actions;
    if (options_.on_action) options_.on_action(where, what);
  }
  Status take_out(Family family, Bytes key, std::optional<std::string> value, std::string why) {
    ++report_.quarantined;
    if (!options_.quarantine) return {};
    return options_.quarantine(
        QuarantinedRecord{family, std::string(key), std::move(value), std::move(why)});
  }
  std::string place(const ChunkKey& key) const {
    return fmt::format("log {} chunk {}, {}", key.log.value, key.base, catalog_.log_name(key.log));
  }

  Status plan_records();
  Status plan_record(const DamagedRecord& record);
  Status plan_chunks();
  Status plan_chunk(const WalkedChunk& chunk);
  Status plan_acks(const WalkedChunk& chunk);
  Status plan_unreadable(const WalkedChunk& chunk);
  Status plan_sound(const WalkedChunk& chunk);
  AckSet give_up_lost(const WalkedChunk& chunk);
  Status plan_shared(const WalkedChunk& chunk);
  Status read_bodies();
  Status plan_body_gap(const BodyGap& gap);
  Status plan_bodies();
  void count(const WalkedChunk& chunk, const AckSet& settled);
  void end_log();
  void plan_state(LogId log, const Found& found);
  void plan_meta();

  StoreView& view_;
  const RepairOptions& options_;
  Catalog catalog_;
  KvBatch batch_;
  RepairReport report_;
  LogId log_;
  Found found_;
  bool in_log_ = false;
  std::set<LogId> seen_;
  std::map<LogId, LogNotes> notes_;
  StoredBodies bodies_;
  Sweeps sweeps_;
};

// Definitions and states that do not parse: a start refuses them.
Status Plan::plan_records() {
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

Status Plan::plan_record(const DamagedRecord& record) {
  const std::string where = fmt::format(
      "family {} key \"{}\"", kFamilyNames[family_index(record.family)], printable(record.key));
  WARREN_CHECK(take_out(record.family, record.key, record.value, record.error.text));
  act(where, "moved to the quarantine: " + record.error.text);
  batch_.erase(record.family, record.key);
  return {};
}

Status Plan::plan_chunks() {
  ChunkWalk walk(*view_.database, ChunkKey{}, ChunkKey{LogId(kMax), kMax});
  for (; walk.valid(); walk.next()) {
    const WalkedChunk& chunk = walk.chunk();
    if (chunk.kind != WalkedChunk::Kind::malformed_key && (!in_log_ || chunk.key.log != log_)) {
      end_log();
      log_ = chunk.key.log;
      found_ = Found{};
      in_log_ = true;
      seen_.insert(log_);
    }
    WARREN_CHECK(plan_chunk(chunk));
  }
  end_log();
  return walk.status();
}

Status Plan::plan_chunk(const WalkedChunk& chunk) {
  switch (chunk.kind) {
    case WalkedChunk::Kind::sound:
      return plan_sound(chunk);
    case WalkedChunk::Kind::damaged:
      WARREN_CHECK(
          take_out(Family::queue_log, chunk.raw_key, std::string(chunk.value), chunk.error->text));
      act(place(chunk.key), "moved to the quarantine: " + chunk.error->text);
      batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
      found_.last = std::max(found_.last, chunk.key.base);
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

Status Plan::plan_sound(const WalkedChunk& chunk) {
  const AckSet settled = give_up_lost(chunk);
  if (settled.all()) {
    act(place(chunk.key), "wholly settled: removed");
    batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
    batch_.erase(Family::queue_acks, std::string(chunk.raw_key));
    batch_.erase(Family::queue_shared, std::string(chunk.raw_key));
    found_.last = std::max(found_.last, chunk.reader->last());
    return {};
  }
  count(chunk, settled);
  WARREN_CHECK(plan_acks(chunk));
  const std::uint32_t before = chunk.acks.has_value() ? chunk.acks->settled() : 0;
  if (settled.settled() != before) {
    batch_.put(Family::queue_acks, std::string(chunk.raw_key), settled.encode());
  }
  return plan_shared(chunk);
}

// A message whose body cannot be had counts as settled: nobody will ever get it.
AckSet Plan::give_up_lost(const WalkedChunk& chunk) {
  AckSet settled = chunk.acks.value_or(AckSet(chunk.reader->count()));
  for (std::uint32_t i = 0; i < chunk.reader->count(); ++i) {
    const auto ref = chunk.reader->shared(i);
    if (!ref.has_value() || settled.test(i)) continue;
    const auto trouble = bodies_.trouble(*ref);
    if (!trouble.has_value()) continue;
    act(place(chunk.key),
        fmt::format("message {} given up: {}", chunk.reader->entry(i).seq, *trouble));
    settled.set(i);
  }
  return settled;
}

// The record of what a chunk refers to says what the chunk says, and goes with it.
Status Plan::plan_shared(const WalkedChunk& chunk) {
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

Status Plan::read_bodies() {
  WARREN_TRY(sweeps_, read_sweeps(*view_.database));
  for (const DamagedRecord& record : sweeps_.damaged) WARREN_CHECK(plan_record(record));
  StoredBodies::Handlers handlers;
  handlers.on_damaged = [this](const DamagedRecord& record) { return plan_record(record); };
  handlers.on_gap = [this](const BodyGap& gap) { return plan_body_gap(gap); };
  return bodies_.read(*view_.database, handlers);
}

Status Plan::plan_body_gap(const BodyGap& gap) {
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
Status Plan::plan_bodies() {
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

// A settled set goes when it is of no use or its chunk goes.
Status Plan::plan_acks(const WalkedChunk& chunk) {
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

Status Plan::plan_unreadable(const WalkedChunk& chunk) {
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
  return {};
}

void Plan::count(const WalkedChunk& chunk, const AckSet& settled) {
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
}

void Plan::end_log() {
  if (in_log_) plan_state(log_, found_);
}

void Plan::plan_state(LogId log, const Found& found) {
  const auto stored = catalog_.states.find(log);
  const bool defined = catalog_.queue(log) != nullptr;
  const std::string where = fmt::format("log {}, {}", log.value, catalog_.log_name(log));
  // A log of no queue: the next start removes it, but only if it has a state.
  if (!defined && stored != catalog_.states.end()) return;
  LogStateRecord state;
  if (stored != catalog_.states.end()) state = stored->second;
  LogStateRecord wanted = state;
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
  wanted.next = std::max(state.next, found.last + 1);
  if (found.count > 0) wanted.head = std::min(state.head, found.first);
  if (found.count == 0) wanted.head = wanted.next;
  if (stored == catalog_.states.end()) {
    if (found.last == 0) return;
    wanted.head = found.count > 0 ? found.first : wanted.next;
    // Nobody knows what was delivered: all of it may have been. Nor what it was.
    wanted.delivered_mark = found.last;
    wanted.expires = true;
  } else if (found.count == 0 && state.head <= state.next && state.live_count == 0) {
    wanted.head = state.head;  // sound as it is
  }
  if (stored != catalog_.states.end() && wanted == state) return;
  if (!defined) {
    act(where, "made known to the next start, which removes it");
    batch_.put(Family::queue_state, encode_log_key(log), encode_log_state(wanted));
    return;
  }
  act(where, fmt::format("{} messages of {} bytes, from {} to {} (was {} of {}, from {} to {})",
                         wanted.live_count, wanted.live_bytes, wanted.head, wanted.next,
                         state.live_count, state.live_bytes, state.head, state.next));
  batch_.put(Family::queue_state, encode_log_key(log), encode_log_state(wanted));
}

void Plan::plan_meta() {
  LogId highest;
  for (const auto& [log, index] : catalog_.queue_of_log) highest = std::max(highest, log);
  for (const auto& [log, state] : catalog_.states) highest = std::max(highest, log);
  for (const LogId log : seen_) highest = std::max(highest, log);
  std::uint64_t starts = 0;
  for (const auto& [id, body] : bodies_.all()) {
    starts = std::max(starts, id.origin / kBodyOriginsPerStart);
  }
  StoreMeta meta;
  if (catalog_.meta.has_value()) {
    meta = *catalog_.meta;
    const bool names_free = highest.value < meta.log_id_limit && starts <= meta.starts;
    if (names_free && meta.store_id == view_.marker.store_id) return;
  } else if (catalog_.definitions.empty() && catalog_.states.empty() && seen_.empty() &&
             catalog_.damaged.empty()) {
    return;  // a new store: its first start writes it
  }
  meta.store_id = view_.marker.store_id;
  meta.log_id_limit = std::max(meta.log_id_limit, highest.value + kLogIdReserve);
  meta.starts = std::max(meta.starts, starts);
  act("store", fmt::format("describes itself as {}, log ids free from {}", meta.store_id,
                           meta.log_id_limit));
  batch_.put(Family::meta, std::string(kStoreMetaKey), encode_store_meta(meta));
}

// Every record of the log that can still be read goes into tables; what is missing between them
// shows as counters that do not fit, and is repaired as such.
Status salvage_logs(const std::string& database, const RepairOptions& options,
                    RepairReport& report) {
  WARREN_TRY(const std::vector<DamagedLog> damaged, find_damaged_logs(database));
  if (damaged.empty()) return {};
  if (!options.salvage_log) return check_write_ahead_logs(database);
  for (const DamagedLog& log : damaged) {
    ++report.actions;
    if (options.on_action) {
      options.on_action("write-ahead log",
                        fmt::format("'{}' is damaged at byte {} of {}: what can be read is saved",
                                    log.path, log.damage_at, log.bytes));
    }
    if (!options.dry_run) WARREN_CHECK(options.salvage_log(log.path));
  }
  if (options.dry_run) return {};
  if (options.before_change) WARREN_CHECK(options.before_change());
  RocksSettings settings;
  settings.skip_damaged_log_records = true;
  WARREN_TRY(const std::unique_ptr<KvStore> store, open_rocks_store(database, settings));
  return store->close();
}

Status apply(const std::string& database, const KvBatch& batch) {
  WARREN_TRY(const std::unique_ptr<KvStore> store, open_rocks_store(database, RocksSettings{}));
  WARREN_CHECK(store->commit(batch, WriteMode::synced));
  return store->close();
}

}  // namespace

Result<RepairReport> repair_store(const std::string& data_dir, const RepairOptions& options) {
  WARREN_TRY(const StoreMarker marker, read_store_marker(data_dir));
  const std::string database = store_database_path(data_dir);
  std::optional<StoreDirectory> held;
  if (!options.dry_run) {
    WARREN_TRY(StoreDirectory directory, StoreDirectory::open(data_dir));
    held.emplace(std::move(directory));
  }
  RepairReport logs;
  WARREN_CHECK(salvage_logs(database, options, logs));
  WARREN_TRY(StoreView view, open_store_view(data_dir));
  Plan plan(view, options);
  WARREN_CHECK(plan.make());
  WARREN_CHECK(view.database->close());
  RepairReport report = plan.report();
  report.actions += logs.actions;
  if (options.dry_run || plan.batch().empty()) return report;
  if (options.before_change) WARREN_CHECK(options.before_change());
  WARREN_CHECK(apply(database, plan.batch()));
  return report;
}

}  // namespace warren::storage
