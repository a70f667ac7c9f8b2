// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/recovery.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "storage/record/body_record.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {
namespace {

// Above every key of every family.
const std::string kPastTheEnd(32, '\xFF');

class Recovery {
 public:
  Recovery(KvStore& store, const std::string& store_id) : store_(store), store_id_(store_id) {}

  Result<Recovered> run();

 private:
  Status clear_spill();
  Status read_meta();
  Status read_definitions();
  Status read_states();
  Status read_sweeps();
  void drop_orphan(LogId log, bool has_shared);
  void collect_logs();
  Status mark_in_use();

  KvStore& store_;
  const std::string& store_id_;
  Recovered out_;
  std::unordered_set<LogId> defined_;
  std::unordered_map<LogId, LogState> states_;
  KvBatch batch_;
  std::uint64_t log_id_max_ = 0;
};

Status Recovery::clear_spill() {
  const auto cursor = store_.scan(Family::spill, {}, kPastTheEnd);
  const bool empty = !cursor->valid() && cursor->status().ok();
  return empty ? Status() : store_.clear(Family::spill);
}

Status Recovery::read_meta() {
  WARREN_TRY(const auto bytes, store_.get(Family::meta, kStoreMetaKey));
  if (!bytes.has_value()) {
    for (const Family family : {Family::definitions, Family::queue_state, Family::queue_log}) {
      if (store_.scan(family, {}, kPastTheEnd)->valid()) {
        return Error{Errc::corruption, "the store has contents but no description of itself"};
      }
    }
    out_.report.created = true;
    out_.meta.store_id = store_id_;
    return {};
  }
  WARREN_TRY(const StoreMeta meta, decode_store_meta(*bytes));
  out_.meta = meta;
  if (out_.meta.store_id != store_id_) {
    return Error{Errc::not_a_store,
                 fmt::format("the database belongs to store '{}', the directory to '{}'",
                             out_.meta.store_id, store_id_)};
  }
  out_.report.clean_stop = out_.meta.clean_stop;
  return {};
}

Status Recovery::read_definitions() {
  const auto cursor = store_.scan(Family::definitions, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    WARREN_TRY(Definition definition, decode_definition(cursor->key(), cursor->value()));
    if (const auto* queue = std::get_if<QueueDefinition>(&definition)) {
      for (const LogId log : logs_of(*queue)) {
        log_id_max_ = std::max(log_id_max_, log.value);
        if (!defined_.insert(log).second) {
          return Error{Errc::corruption, fmt::format("queue '{}' in vhost '{}' shares its log {}",
                                                     queue->name, queue->vhost, log.value)};
        }
      }
    }
    out_.definitions.push_back(std::move(definition));
  }
  return cursor->status();
}

// Ranges that are gone and whose references were not all released (S6).
Status Recovery::read_sweeps() {
  const auto cursor = store_.scan(Family::meta, kSweepKeyPrefix, kSweepKeysEnd);
  for (; cursor->valid(); cursor->next()) {
    const auto key = decode_sweep_key(cursor->key());
    if (!key.has_value()) return Error{Errc::corruption, "sweep under a malformed key"};
    out_.sweeps.push_back(*key);
  }
  return cursor->status();
}

void Recovery::drop_orphan(LogId log, bool has_shared) {
  if (has_shared) {
    const SweepKey all{log, 0, kSweepAll};
    batch_.put(Family::meta, encode_sweep_key(all), encode_sweep());
    out_.sweeps.push_back(all);
  }
  const std::string first = encode_chunk_key({log, 0});
  const std::string end = encode_chunk_key({LogId(log.value + 1), 0});
  batch_.erase_range(Family::queue_log, first, end);
  batch_.erase_range(Family::queue_acks, first, end);
  batch_.erase_range(Family::queue_returns, first, end);
  batch_.erase_range(Family::queue_due, encode_due_key({log, 0, 0}),
                     encode_due_key({LogId(log.value + 1), 0, 0}));
  batch_.erase(Family::queue_state, encode_log_key(log));
  ++out_.report.orphan_logs_dropped;
}

Status Recovery::read_states() {
  const auto cursor = store_.scan(Family::queue_state, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    const auto log = decode_log_key(cursor->key());
    auto record = decode_log_state(cursor->value());
    if (!log.has_value() || !record.ok()) {
      return Error{Errc::corruption,
                   fmt::format("state of log {}: {}", log.value_or(LogId()).value,
                               record.ok() ? "malformed key" : record.error().text)};
    }
    log_id_max_ = std::max(log_id_max_, log->value);
    if (!defined_.contains(*log)) {
      drop_orphan(*log, record->has_shared);
      continue;
    }
    LogState& state = states_[*log];
    state.id = *log;
    state.head = record->head;
    state.next = record->next;
    state.live_count = record->live_count;
    state.live_bytes = record->live_bytes;
    state.live_weight = record->live_weight;
    state.delivered_mark = record->delivered_mark;
    state.has_due = record->has_due;
    state.has_returns = record->has_returns;
    state.expires = record->expires;
    state.has_shared = record->has_shared;
    state.estimated = record->estimated;
  }
  return cursor->status();
}

void Recovery::collect_logs() {
  for (const Definition& definition : out_.definitions) {
    const auto* const queue = std::get_if<QueueDefinition>(&definition);
    if (queue == nullptr) continue;
    for (const LogId log : logs_of(*queue)) {
      const auto state = states_.find(log);
      LogState fresh;
      fresh.id = log;
      // Of the further lanes only the ones that were ever used.
      if (state == states_.end() && log != queue->log) continue;
      out_.logs.push_back(state != states_.end() ? state->second : fresh);
      out_.report.messages += out_.logs.back().live_count;
    }
  }
  out_.report.logs = out_.logs.size();
}

Status Recovery::mark_in_use() {
  out_.next_log_id = std::max(out_.meta.log_id_limit, log_id_max_ + 1);
  out_.meta.log_id_limit = out_.next_log_id + kLogIdStep;
  out_.meta.clean_stop = false;
  ++out_.meta.starts;
  batch_.put(Family::meta, std::string(kStoreMetaKey), encode_store_meta(out_.meta));
  return store_.commit(batch_, WriteMode::synced);
}

Result<Recovered> Recovery::run() {
  WARREN_CHECK(clear_spill());
  WARREN_CHECK(read_meta());
  WARREN_CHECK(read_definitions());
  WARREN_CHECK(read_sweeps());
  WARREN_CHECK(read_states());
  collect_logs();
  WARREN_CHECK(mark_in_use());
  return std::move(out_);
}

}  // namespace

Result<Recovered> recover(KvStore& store, const std::string& store_id) {
  return Recovery(store, store_id).run();
}

}  // namespace warren::storage
