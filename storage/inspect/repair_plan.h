// SPDX-License-Identifier: Apache-2.0
// What a repair will do: found out by reading the whole store, done in one batch. Part of
// store_repair.
//   repair_plan.cc    definitions, chunks, settled sets    repair_bodies.cc  shared bodies
//   repair_states.cc  counters, what is lost, the store's own record
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "storage/inspect/bodies.h"
#include "storage/inspect/catalog.h"
#include "storage/inspect/chunk_walk.h"
#include "storage/inspect/notes.h"
#include "storage/inspect/store_repair.h"
#include "storage/inspect/store_view.h"
#include "storage/inspect/table_losses.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {

inline constexpr std::uint64_t kChunkKeyMax = std::numeric_limits<std::uint64_t>::max();

// Where definitions of a kind begin.
inline constexpr Bytes kVhostKind("\x01", 1);
inline constexpr Bytes kBehindVhostKind("\x02", 1);
inline constexpr Bytes kQueueKind("\x05", 1);
inline constexpr Bytes kBehindQueueKind("\x06", 1);

// Finds what has to be done. Bound: the batch grows with the damage, not with the store.
class RepairPlan {
 public:
  // `log_salvaged`: records of a write-ahead log are missing, whosesoever they were.
  RepairPlan(StoreView& view, const RepairOptions& options, bool log_salvaged)
      : view_(view),
        options_(options),
        log_salvaged_(log_salvaged),
        losses_(view.database->damaged_tables()) {}

  Status make();

  const KvBatch& batch() const { return batch_; }
  const RepairReport& report() const { return report_; }

 private:
  struct Found {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    std::uint64_t weight = 0;
    Seq first = 0;
    Seq last = 0;
    bool shared = false;         // some of it is stored outside the log
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
  Status plan_sound(const WalkedChunk& chunk);
  AckSet give_up_lost(const WalkedChunk& chunk);
  Status plan_shared(const WalkedChunk& chunk);
  Status read_bodies();
  Status plan_body_gap(const BodyGap& gap);
  Status plan_bodies();
  void count(const WalkedChunk& chunk, const AckSet& settled);
  Status disown(const WalkedChunk& chunk);
  Status end_log();
  Status plan_state(LogId log, const Found& found);
  LogStateRecord wanted_state(LogId log, const LogStateRecord& state, const Found& found) const;
  std::string count_losses(LogId log, const LogStateRecord& state, const Found& found);
  void plan_meta();
  bool state_lost(LogId log) const;
  bool is_back(const ChunkKey& key) const;
  // Its queue was defined in what is lost: a start would delete its messages.
  bool is_disowned(LogId log) const;

  StoreView& view_;
  const RepairOptions& options_;
  const bool log_salvaged_;
  const TableLosses losses_;
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

}  // namespace warren::storage
