// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/store_check.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "storage/base/log.h"
#include "storage/inspect/bodies.h"
#include "storage/inspect/chunk_walk.h"
#include "storage/inspect/notes.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

class Checker {
 public:
  Checker(KvStore& store, const CheckObserver& observer) : store_(store), observer_(observer) {}

  Result<StoreCheck> run() {
    WARREN_TRY(catalog_, read_catalog(store_));
    out_.definitions = catalog_.definitions.size();
    out_.logs = catalog_.states.size();
    check_meta();
    check_damaged_records();
    WARREN_CHECK(check_notes());
    WARREN_CHECK(read_bodies());
    WARREN_CHECK(check_chunks());
    check_bodies();
    for (const auto& [log, state] : catalog_.states) {
      if (!seen_.contains(log)) check_state(log, Found{});
    }
    return std::move(out_);
  }

 private:
  struct Found {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    Seq first = 0;  // base of the first chunk with a live message
    Seq last = 0;
    bool damaged = false;  // some of it could not be counted
    bool shared = false;   // queue_shared has records of it
  };

  template <class... Args>
  void found(Harm harm, std::string_view promise, std::string where,
             fmt::format_string<Args...> format, Args&&... args) {
    ++out_.findings;
    const Finding finding{harm, std::string(promise), std::move(where),
                          fmt::format(format, std::forward<Args>(args)...)};
    if (observer_.on_finding) observer_.on_finding(finding);
    if (out_.problems.size() == kProblemsMax) out_.problems.emplace_back("and more");
    if (out_.problems.size() < kProblemsMax) out_.problems.push_back(to_text(finding));
  }
  std::string log_place(LogId log) const {
    return fmt::format("log {}, {}", log.value, catalog_.log_name(log));
  }
  static std::string record_place(const DamagedRecord& record) {
    return fmt::format("family {} key \"{}\"", kFamilyNames[family_index(record.family)],
                       printable(record.key));
  }
  std::string chunk_place(const ChunkKey& key) const {
    return fmt::format("log {} chunk {}, {}", key.log.value, key.base, catalog_.log_name(key.log));
  }

  void check_meta();
  void check_damaged_records();
  Status check_notes();
  Status check_chunks();
  void check_chunk(const WalkedChunk& chunk);
  void check_sound(const WalkedChunk& chunk);
  Status read_bodies();
  void check_shared(const WalkedChunk& chunk);
  void check_block(const WalkedChunk& chunk, std::uint32_t index);
  void check_bodies();
  void end_log();
  void check_state(LogId log, const Found& found);

  KvStore& store_;
  const CheckObserver& observer_;
  StoreCheck out_;
  Catalog catalog_;
  StoredBodies bodies_;
  Sweeps sweeps_;
  ChunkKey gap_end_;  // of the last stretch of chunks that cannot be read
  CheckProgress progress_;
  // The log that is being walked.
  LogId log_;
  Found found_;
  bool in_log_ = false;
  std::set<LogId> seen_;
};

void Checker::check_meta() {
  if (!catalog_.meta.has_value()) {
    const bool damaged = std::ranges::any_of(catalog_.damaged, [](const DamagedRecord& record) {
      return record.family == Family::meta;
    });
    if (!damaged) found(Harm::store, "S9", "store", "the store does not describe itself");
    return;
  }
  // S1: what is in use must lie below what may have been given away.
  LogId highest;
  for (const auto& [log, index] : catalog_.queue_of_log) highest = std::max(highest, log);
  for (const auto& [log, state] : catalog_.states) highest = std::max(highest, log);
  if (highest.value >= catalog_.meta->log_id_limit) {
    found(Harm::none, "S1", "store", "log {} is in use, ids from {} on are said to be free",
          highest.value, catalog_.meta->log_id_limit);
  }
}

void Checker::check_damaged_records() {
  for (const DamagedRecord& record : catalog_.damaged) {
    found(Harm::store, "S7", record_place(record), "{}", record.error.text);
  }
  for (const auto& [one, other] : catalog_.shared_logs) {
    found(Harm::store, "S1", definition_name(catalog_.definitions[other]), "shares its log with {}",
          definition_name(catalog_.definitions[one]));
  }
}

// What an index holds and no state speaks of is never looked at.
Status Checker::check_notes() {
  WARREN_TRY(const auto notes, read_notes(store_, [this](const DamagedRecord& record) -> Status {
               found(Harm::counters, "S7", record_place(record), "{}", record.error.text);
               return {};
             }));
  for (const auto& [log, has] : notes) {
    const LogStateRecord state = catalog_.state(log);
    if (has.due && !state.has_due) {
      found(Harm::counters, "S16", log_place(log), "due times that the log does not know of");
    }
    if (has.returns && !state.has_returns) {
      found(Harm::counters, "S16", log_place(log), "returns that the log does not know of");
    }
  }
  return {};
}

Status Checker::check_chunks() {
  ChunkWalk walk(store_, ChunkKey{}, ChunkKey{LogId(kMax), kMax});
  for (; walk.valid(); walk.next()) {
    const WalkedChunk& chunk = walk.chunk();
    if (chunk.kind == WalkedChunk::Kind::malformed_key) {
      found(Harm::messages, "S11", fmt::format("key \"{}\"", printable(chunk.raw_key)), "{}",
            chunk.error->text);
      continue;
    }
    if (!in_log_ || chunk.key.log != log_) {
      end_log();
      log_ = chunk.key.log;
      found_ = Found{};
      in_log_ = true;
      seen_.insert(log_);
    }
    check_chunk(chunk);
    progress_.bytes += chunk.value.size();
    if (observer_.on_progress) observer_.on_progress(progress_);
  }
  end_log();
  return walk.status();
}

Status Checker::read_bodies() {
  WARREN_TRY(sweeps_, read_sweeps(store_));
  for (const DamagedRecord& record : sweeps_.damaged) {
    found(Harm::store, "S11", record_place(record), "{}", record.error.text);
  }
  StoredBodies::Handlers handlers;
  handlers.on_damaged = [this](const DamagedRecord& record) -> Status {
    const Harm harm = record.family == Family::bodies ? Harm::messages : Harm::counters;
    found(harm, "S7", record_place(record), "{}", record.error.text);
    return {};
  };
  handlers.on_gap = [this](const BodyGap& gap) -> Status {
    found(Harm::messages, "S7", fmt::format("family bodies key \"{}\"", printable(gap.from)),
          "cannot be read, and nothing below \"{}\": {}", printable(gap.to), gap.error.text);
    return {};
  };
  return bodies_.read(store_, handlers);
}

// S6: what the chunk refers to, by itself and by its record.
void Checker::check_shared(const WalkedChunk& chunk) {
  found_.shared = found_.shared || chunk.has_shared;
  if (chunk.shared_error.has_value()) {
    found(Harm::counters, "S7", chunk_place(chunk.key), "references: {}", chunk.shared_error->text);
  }
  if (chunk.kind == WalkedChunk::Kind::sound) {
    const std::vector<BodyId> bodies = chunk.reader->bodies();
    bodies_.refer(bodies);
    const std::size_t said = chunk.shared.has_value() ? chunk.shared->size() : 0;
    if (!chunk.shared_error.has_value() && chunk.shared.value_or(std::vector<BodyId>()) != bodies) {
      found(Harm::counters, "S6", chunk_place(chunk.key),
            "refers to {} bodies, queue_shared says {} or others", bodies.size(), said);
    }
    return;
  }
  if (chunk.shared.has_value()) bodies_.refer(*chunk.shared);
  const bool accounted = chunk.key < gap_end_ || sweeps_.covers(chunk.key);
  if (chunk.kind == WalkedChunk::Kind::missing && chunk.has_shared && !accounted) {
    found(Harm::none, "S6", chunk_place(chunk.key), "references without their chunk");
  }
}

void Checker::check_block(const WalkedChunk& chunk, std::uint32_t index) {
  const auto ref = chunk.reader->shared(index);
  if (!ref.has_value()) return;
  const auto trouble = bodies_.trouble(*ref);
  if (!trouble.has_value()) return;
  found_.damaged = true;
  found(Harm::messages, "S6", chunk_place(chunk.key), "message {}: {}",
        chunk.reader->entry(index).seq, *trouble);
}

void Checker::check_bodies() {
  const std::uint64_t starts = catalog_.meta.has_value() ? catalog_.meta->starts : 0;
  for (const auto& [id, body] : bodies_.all()) {
    if (body.present) ++out_.bodies;
    // S1: a name that may be given again.
    if (id.origin / kBodyOriginsPerStart > starts && catalog_.meta.has_value()) {
      found(Harm::none, "S1", body_name(id), "is of start {}, there were {}",
            id.origin / kBodyOriginsPerStart, starts);
    }
    const std::uint64_t count = body.count.value_or(0);
    if (!body.present && body.count.has_value()) {
      found(Harm::none, "S6", body_name(id), "has a count and is missing or damaged");
    } else if (body.present && count != body.references) {
      found(count < body.references ? Harm::messages : Harm::counters, "S6", body_name(id),
            "says {} references, there are {}", count, body.references);
    }
  }
}

void Checker::check_chunk(const WalkedChunk& chunk) {
  check_shared(chunk);
  if (chunk.acks_error.has_value()) {
    found(Harm::repeats, "S7", chunk_place(chunk.key), "{}", chunk.acks_error->text);
  }
  switch (chunk.kind) {
    case WalkedChunk::Kind::sound:
      check_sound(chunk);
      break;
    case WalkedChunk::Kind::damaged:
      ++out_.chunks;
      found_.damaged = true;
      found(Harm::messages, "S7", chunk_place(chunk.key), "{} messages in {} bytes: {}",
            damaged_entry_count(chunk.value), chunk.value.size(), chunk.error->text);
      break;
    case WalkedChunk::Kind::unreadable:
      found_.damaged = true;
      gap_end_ = chunk.gap_end;
      found(Harm::messages, "S7", chunk_place(chunk.key),
            "cannot be read, and nothing below log {} chunk {}: {}", chunk.gap_end.log.value,
            chunk.gap_end.base, chunk.error->text);
      break;
    case WalkedChunk::Kind::missing:
      if (!chunk.has_acks) break;
      found(Harm::none, "S5", chunk_place(chunk.key), "settled set without its chunk");
      break;
    case WalkedChunk::Kind::malformed_key:
      break;
  }
}

void Checker::check_sound(const WalkedChunk& chunk) {
  ++out_.chunks;
  ++progress_.chunks;
  const ChunkReader& reader = *chunk.reader;
  if (found_.last != 0 && reader.first() <= found_.last) {
    found(Harm::messages, "S1", chunk_place(chunk.key),
          "overlaps the one before it, which ends at {}", found_.last);
  }
  found_.last = std::max(found_.last, reader.last());
  if (chunk.acks.has_value() && chunk.acks->all()) {
    found(Harm::none, "S5", chunk_place(chunk.key), "wholly settled and still there");
  }
  for (std::uint32_t i = 0; i < reader.count(); ++i) {
    if (chunk.settled(i)) continue;
    if (found_.first == 0) found_.first = chunk.key.base;
    ++found_.count;
    found_.bytes += reader.block_bytes(i);
    check_block(chunk, i);
  }
  progress_.messages += reader.count();
}

void Checker::end_log() {
  if (in_log_) check_state(log_, found_);
}

void Checker::check_state(LogId log, const Found& walked) {
  out_.messages += walked.count;
  out_.bytes += walked.bytes;
  const auto at = catalog_.states.find(log);
  const bool defined = catalog_.queue(log) != nullptr;
  if (at == catalog_.states.end()) {
    // What a queue that was just deleted leaves until the next start has a state.
    if (walked.last != 0) {
      found(defined ? Harm::messages : Harm::none, "S15", log_place(log),
            "{} messages of {} bytes and no state", walked.count, walked.bytes);
    }
    return;
  }
  const LogStateRecord& state = at->second;
  if (!defined) {
    found(Harm::none, "S12", log_place(log), "belongs to no queue: the next start removes it");
  }
  const bool counts = walked.count == state.live_count && walked.bytes == state.live_bytes;
  if (walked.damaged && walked.count < state.live_count) {
    found(Harm::messages, "S7", log_place(log), "{} messages cannot be read",
          state.live_count - walked.count);
  }
  if (!counts && !walked.damaged) {
    // A queue that says it is empty is not read, but for one that says it is not sure.
    const bool hidden = walked.count > 0 && state.live_count == 0 && !state.estimated;
    found(hidden ? Harm::messages : Harm::counters, "S15", log_place(log),
          "says {} messages of {} bytes, there are {} of {}", state.live_count, state.live_bytes,
          walked.count, walked.bytes);
  }
  if (state.estimated && counts) {
    found(Harm::none, "S15", log_place(log), "met losses: takes its counts for estimates");
  }
  if (walked.shared && !state.has_shared) {
    found(Harm::counters, "S6", log_place(log), "references that the log does not know of");
  }
  if (walked.count > 0 && walked.first < state.head) {
    found(Harm::messages, "S15", log_place(log), "starts at {}, there is a live chunk {}",
          state.head, walked.first);
  }
  if (walked.last >= state.next) {
    found(Harm::messages, "S1", log_place(log), "goes on at {}, there is a message {}", state.next,
          walked.last);
  }
}

}  // namespace

std::string_view to_text(Harm harm) {
  switch (harm) {
    case Harm::none:
      return "harmless";
    case Harm::counters:
      return "counters";
    case Harm::repeats:
      return "repeats";
    case Harm::messages:
      return "messages";
    case Harm::store:
      return "store";
  }
  return "";
}

std::string to_text(const Finding& finding) {
  return fmt::format("{} {} {}: {}", to_text(finding.harm), finding.promise, finding.where,
                     finding.what);
}

Result<StoreCheck> check_store(KvStore& store, const CheckObserver& observer) {
  return Checker(store, observer).run();
}

}  // namespace warren::storage
