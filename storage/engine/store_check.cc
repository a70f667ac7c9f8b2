// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/store_check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "storage/record/ack_set.h"
#include "storage/record/chunk_reader.h"
#include "storage/record/definition_record.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"
#include "storage/record/store_meta.h"

namespace warren::storage {
namespace {

const std::string kPastTheEnd(32, '\xFF');

class Checker {
 public:
  explicit Checker(KvStore& store) : store_(store) {}

  Result<StoreCheck> run() {
    WARREN_CHECK(check_meta());
    WARREN_CHECK(check_definitions());
    WARREN_CHECK(read_acks());
    WARREN_CHECK(check_chunks());
    WARREN_CHECK(check_states());
    report_leftovers();
    return std::move(out_);
  }

 private:
  struct Found {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    Seq first = 0;  // base of the first chunk with a live message
    Seq last = 0;
  };

  template <class... Args>
  void problem(fmt::format_string<Args...> format, Args&&... args) {
    if (out_.problems.size() == kProblemsMax) out_.problems.emplace_back("and more");
    if (out_.problems.size() > kProblemsMax) return;
    out_.problems.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  Status check_meta();
  Status check_definitions();
  Status read_acks();
  Status check_chunks();
  void check_chunk(const ChunkKey& key, Bytes value);
  Status check_states();
  void check_state(LogId log, const LogStateRecord& state);
  void report_leftovers();

  KvStore& store_;
  StoreCheck out_;
  std::map<LogId, bool> defined_;
  std::map<ChunkKey, AckSet> acks_;
  std::map<LogId, Found> found_;
};

Status Checker::check_meta() {
  WARREN_TRY(const auto bytes, store_.get(Family::meta, kStoreMetaKey));
  if (!bytes.has_value()) {
    problem("the store does not describe itself");
  } else if (const auto meta = decode_store_meta(*bytes); !meta.ok()) {
    problem("{}", meta.error().text);
  }
  return {};
}

Status Checker::check_definitions() {
  const auto cursor = store_.scan(Family::definitions, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    ++out_.definitions;
    const auto definition = decode_definition(cursor->key(), cursor->value());
    if (!definition.ok()) {
      problem("definition {}: {}", out_.definitions, definition.error().text);
      continue;
    }
    if (const auto* queue = std::get_if<QueueDefinition>(&*definition)) {
      for (const LogId log : logs_of(*queue)) {
        if (!defined_.emplace(log, true).second) problem("log {} twice", log.value);
      }
    }
  }
  return cursor->status();
}

Status Checker::read_acks() {
  const auto cursor = store_.scan(Family::queue_acks, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    const auto key = decode_chunk_key(cursor->key());
    auto acks = AckSet::decode(cursor->value());
    if (!key.has_value()) {
      problem("settled set under a malformed key");
    } else if (!acks.ok()) {
      problem("settled set {}/{}: {}", key->log.value, key->base, acks.error().text);
    } else {
      acks_.emplace(*key, acks.take());
    }
  }
  return cursor->status();
}

Status Checker::check_chunks() {
  const auto cursor = store_.scan(Family::queue_log, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    const auto key = decode_chunk_key(cursor->key());
    if (!key.has_value()) {
      problem("chunk under a malformed key");
      continue;
    }
    ++out_.chunks;
    check_chunk(*key, cursor->value());
  }
  return cursor->status();
}

void Checker::check_chunk(const ChunkKey& key, Bytes value) {
  Found& found = found_[key.log];
  const auto acks = acks_.extract(key);
  const auto chunk = ChunkReader::open(value);
  if (!chunk.ok()) {
    problem("chunk {}/{} of {} bytes: {}", key.log.value, key.base, value.size(),
            chunk.error().text);
    return;
  }
  if (chunk->log() != key.log || chunk->first() != key.base) {
    problem("chunk {}/{} says it is {}/{}", key.log.value, key.base, chunk->log().value,
            chunk->first());
    return;
  }
  if (chunk->first() <= found.last) {
    problem("chunk {}/{} overlaps the one before it", key.log.value, key.base);
  }
  found.last = chunk->last();
  const bool usable = !acks.empty() && acks.mapped().count() == chunk->count();
  if (!acks.empty() && !usable)
    problem("settled set {}/{} has a wrong size", key.log.value, key.base);
  if (usable && acks.mapped().all()) {
    problem("chunk {}/{} is settled and still there", key.log.value, key.base);
  }
  for (std::uint32_t i = 0; i < chunk->count(); ++i) {
    if (usable && acks.mapped().test(i)) continue;
    const ChunkEntry entry = chunk->entry(i);
    if (found.first == 0) found.first = key.base;
    ++found.count;
    found.bytes += entry.block.size();
  }
}

Status Checker::check_states() {
  const auto cursor = store_.scan(Family::queue_state, {}, kPastTheEnd);
  for (; cursor->valid(); cursor->next()) {
    const auto log = decode_log_key(cursor->key());
    const auto state = decode_log_state(cursor->value());
    if (!log.has_value() || !state.ok()) {
      problem("queue state does not parse");
      continue;
    }
    ++out_.logs;
    if (!defined_.contains(*log)) problem("log {} belongs to no queue", log->value);
    check_state(*log, *state);
  }
  return cursor->status();
}

void Checker::check_state(LogId log, const LogStateRecord& state) {
  const auto at = found_.find(log);
  const Found found = at != found_.end() ? at->second : Found{};
  if (at != found_.end()) found_.erase(at);
  out_.messages += found.count;
  out_.bytes += found.bytes;
  if (found.count != state.live_count || found.bytes != state.live_bytes) {
    problem("log {} says {} messages of {} bytes, there are {} of {}", log.value, state.live_count,
            state.live_bytes, found.count, found.bytes);
  }
  if (found.count > 0 && found.first < state.head) {
    problem("log {} starts at {}, there is a chunk {}", log.value, state.head, found.first);
  }
  if (found.last >= state.next) {
    problem("log {} goes on at {}, there is a message {}", log.value, state.next, found.last);
  }
}

void Checker::report_leftovers() {
  for (const auto& [log, found] : found_) {
    problem("log {} has {} messages and no state", log.value, found.count);
  }
  for (const auto& [key, acks] : acks_) {
    problem("settled set {}/{} of {} has no chunk", key.log.value, key.base, acks.count());
  }
}

}  // namespace

Result<StoreCheck> check_store(KvStore& store) {
  return Checker(store).run();
}

}  // namespace warren::storage
