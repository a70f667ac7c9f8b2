// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_repair.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "storage/base/log.h"
#include "storage/inspect/catalog.h"
#include "storage/inspect/chunk_walk.h"
#include "storage/inspect/notes.h"
#include "storage/inspect/store_view.h"
#include "storage/inspect/table_losses.h"
#include "storage/kv/rocks_doctor.h"
#include "storage/kv/rocks_store.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
// As far as a start reserves.
constexpr std::uint64_t kLogIdReserve = 1000;
// Numbers that an older record says are free may have been given away since: so many are left out.
constexpr std::uint64_t kLeap = std::uint64_t{1} << 32;

// Where definitions of a kind begin.
constexpr Bytes kVhostKind("\x01", 1);
constexpr Bytes kBehindVhostKind("\x02", 1);
constexpr Bytes kQueueKind("\x05", 1);
constexpr Bytes kBehindQueueKind("\x06", 1);

// Finds what has to be done. Bound: the batch grows with the damage, not with the store.
class Plan {
 public:
  Plan(StoreView& view, const RepairOptions& options)
      : view_(view), options_(options), losses_(view.database->damaged_tables()) {}

  Status make() {
    plan_tables();
    WARREN_TRY(catalog_, read_catalog(*view_.database));
    WARREN_CHECK(plan_records());
    plan_vhosts();
    WARREN_TRY(notes_, read_notes(*view_.database, [this](const DamagedRecord& record) {
                 return plan_record(record);
               }));
    WARREN_CHECK(plan_chunks());
    for (const auto& [log, state] : catalog_.states) {
      if (!seen_.contains(log)) WARREN_CHECK(plan_state(log, Found{}));
    }
    for (const auto& [log, index] : catalog_.queue_of_log) {
      const bool known = seen_.contains(log) || catalog_.states.contains(log);
      if (!known && state_lost(log)) WARREN_CHECK(plan_state(log, Found{}));
    }
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
    bool damaged = false;        // some of it was there and is lost
    std::uint64_t doubtful = 0;  // of `count`: perhaps settled, and back
    Seq doubtful_last = 0;
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

  void plan_tables();
  Status plan_records();
  void plan_vhosts();
  Status plan_record(const DamagedRecord& record);
  Status plan_chunks();
  Status plan_chunk(const WalkedChunk& chunk);
  Status plan_acks(const WalkedChunk& chunk);
  Status plan_unreadable(const WalkedChunk& chunk);
  Status disown(const WalkedChunk& chunk);
  void count(const WalkedChunk& chunk);
  Status end_log();
  Status plan_state(LogId log, const Found& found);
  LogStateRecord wanted_state(LogId log, const LogStateRecord& state, const Found& found) const;
  std::string count_losses(LogId log, const LogStateRecord& state, const Found& found);
  void plan_meta();
  bool state_lost(LogId log) const {
    return losses_.holds(Family::queue_state, encode_log_key(log));
  }
  bool is_back(const ChunkKey& key) const;
  // Its queue was defined in what is lost: a start would delete its messages.
  bool is_disowned(LogId log) const {
    return catalog_.queue(log) == nullptr &&
           losses_.touches(Family::definitions, kQueueKind, kBehindQueueKind);
  }

  StoreView& view_;
  const RepairOptions& options_;
  const TableLosses losses_;
  Catalog catalog_;
  KvBatch batch_;
  RepairReport report_;
  LogId log_;
  Found found_;
  bool in_log_ = false;
  std::set<LogId> seen_;
  std::map<LogId, LogNotes> notes_;
};

void Plan::plan_tables() {
  for (const DamagedTable& table : view_.database->damaged_tables()) {
    act(table_place(table), "what is sound of it is written anew: " + table_text(table));
    ++report_.tables;
  }
}

// What is in a virtual host tells its name.
void Plan::plan_vhosts() {
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

// Settled in a commit whose deletion is lost: its queue begins behind it.
bool Plan::is_back(const ChunkKey& key) const {
  const auto state = catalog_.states.find(key.log);
  return state != catalog_.states.end() && key.base < state->second.head &&
         losses_.holds(Family::queue_log, encode_chunk_key(key)) && !state_lost(key.log);
}

Status Plan::disown(const WalkedChunk& chunk) {
  const std::string why = "the definition of its queue is lost";
  WARREN_CHECK(take_out(Family::queue_log, chunk.raw_key, std::string(chunk.value), why));
  batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
  if (chunk.has_acks) {
    WARREN_CHECK(take_out(Family::queue_acks, chunk.raw_key, std::string(chunk.raw_acks), why));
    batch_.erase(Family::queue_acks, std::string(chunk.raw_key));
  }
  return {};
}

Status Plan::plan_chunk(const WalkedChunk& chunk) {
  switch (chunk.kind) {
    case WalkedChunk::Kind::sound:
      if (is_back(chunk.key) || (chunk.acks.has_value() && chunk.acks->all())) {
        act(place(chunk.key), "wholly settled: removed");
        batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
        batch_.erase(Family::queue_acks, std::string(chunk.raw_key));
        found_.last = std::max(found_.last, chunk.reader->last());
        return {};
      }
      count(chunk);
      if (is_disowned(chunk.key.log)) return disown(chunk);
      return plan_acks(chunk);
    case WalkedChunk::Kind::damaged:
      WARREN_CHECK(
          take_out(Family::queue_log, chunk.raw_key, std::string(chunk.value), chunk.error->text));
      act(place(chunk.key), "moved to the quarantine: " + chunk.error->text);
      batch_.erase_once(Family::queue_log, std::string(chunk.raw_key));
      found_.last = std::max(found_.last, chunk.key.base);
      found_.damaged = true;
      return plan_acks(chunk);
    case WalkedChunk::Kind::unreadable:
      WARREN_CHECK(plan_unreadable(chunk));
      return plan_acks(chunk);
    case WalkedChunk::Kind::missing:
      return plan_acks(chunk);
    case WalkedChunk::Kind::malformed_key:
      break;
  }
  const Family family = chunk.has_acks ? Family::queue_acks : Family::queue_log;
  const Bytes value = chunk.has_acks ? chunk.raw_acks : chunk.value;
  WARREN_CHECK(take_out(family, chunk.raw_key, std::string(value), chunk.error->text));
  act(fmt::format("key \"{}\"", printable(chunk.raw_key)),
      "moved to the quarantine: " + chunk.error->text);
  batch_.erase(family, std::string(chunk.raw_key));
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
  found_.damaged = true;
  return {};
}

void Plan::count(const WalkedChunk& chunk) {
  const std::uint64_t before = found_.count;
  for (std::uint32_t i = 0; i < chunk.reader->count(); ++i) {
    if (chunk.settled(i)) continue;
    if (found_.first == 0) found_.first = chunk.key.base;
    ++found_.count;
    const Bytes block = chunk.reader->entry(i).block;
    found_.bytes += block.size();
    if (options_.weigh) found_.weight += options_.weigh(block);
  }
  found_.last = std::max(found_.last, chunk.reader->last());
  if (losses_.holds(Family::queue_log, chunk.raw_key) ||
      losses_.holds(Family::queue_acks, chunk.raw_key)) {
    found_.doubtful += found_.count - before;
    found_.doubtful_last = chunk.reader->last();
  }
}

Status Plan::end_log() {
  return in_log_ ? plan_state(log_, found_) : Status();
}

LogStateRecord Plan::wanted_state(LogId log, const LogStateRecord& state,
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
  wanted.next = std::max(state.next, found.last + 1);
  if (state_lost(log)) wanted.next += kLeap;
  if (found.count > 0) wanted.head = std::min(state.head, found.first);
  if (found.count == 0) wanted.head = wanted.next;
  if (!stored || state_lost(log)) {
    wanted.head = found.count > 0 ? found.first : wanted.next;
    // Nobody knows what was delivered: all of it may have been.
    wanted.delivered_mark = std::max(state.delivered_mark, found.last);
  } else if (found.count == 0 && state.head <= state.next && state.live_count == 0) {
    wanted.head = state.head;  // sound as it is
  }
  // What is back was settled, hence delivered or dropped.
  if (miscounted) wanted.delivered_mark = std::max(wanted.delivered_mark, found.doubtful_last);
  return wanted;
}

// What the state says was there and is not; in words, or nothing.
std::string Plan::count_losses(LogId log, const LogStateRecord& state, const Found& found) {
  const bool lost = found.damaged || losses_.touches(Family::queue_log, encode_chunk_key({log, 0}),
                                                     encode_chunk_key({log, kMax}));
  if (state_lost(log) || !catalog_.states.contains(log)) {
    return lost ? "; how many are lost cannot be told" : "";
  }
  const std::uint64_t said = state.live_count;
  if (found.count == said && found.bytes == state.live_bytes) return "";
  const std::uint64_t sure = found.count - found.doubtful;
  const std::uint64_t again = found.count - std::min(said, found.count);
  const std::uint64_t least = said - std::min(said, found.count);
  const std::uint64_t most = said - std::min(said, sure);
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

Status Plan::plan_state(LogId log, const Found& found) {
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

void Plan::plan_meta() {
  LogId highest;
  for (const auto& [log, index] : catalog_.queue_of_log) highest = std::max(highest, log);
  for (const auto& [log, state] : catalog_.states) highest = std::max(highest, log);
  for (const LogId log : seen_) highest = std::max(highest, log);
  StoreMeta meta;
  const bool lost = losses_.holds(Family::meta, kStoreMetaKey);
  if (catalog_.meta.has_value()) {
    meta = *catalog_.meta;
    if (!lost && highest.value < meta.log_id_limit && meta.store_id == view_.marker.store_id)
      return;
  } else if (catalog_.definitions.empty() && catalog_.states.empty() && seen_.empty() &&
             catalog_.damaged.empty()) {
    return;  // a new store: its first start writes it
  }
  meta.store_id = view_.marker.store_id;
  meta.log_id_limit = std::max(meta.log_id_limit, highest.value + kLogIdReserve);
  if (lost) meta.log_id_limit += kLeap;
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
  WARREN_TRY(StoreView view, open_store_view(data_dir, Tables::mended));
  Plan plan(view, options);
  WARREN_CHECK(plan.make());
  WARREN_CHECK(view.database->close());
  RepairReport report = plan.report();
  report.actions += logs.actions;
  const std::vector<DamagedTable>& damaged = view.database->damaged_tables();
  if (options.dry_run || (plan.batch().empty() && damaged.empty())) return report;
  for (const DamagedTable& table : damaged) {
    if (options.keep_table) WARREN_CHECK(options.keep_table(database + "/" + table.file));
  }
  if (options.before_change) WARREN_CHECK(options.before_change());
  WARREN_CHECK(damaged.empty() ? apply(database, plan.batch())
                               : mend_rocks_store(database, damaged, plan.batch()));
  return report;
}

}  // namespace warren::storage
