// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/log_reader.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/engine/chunk_cursor.h"
#include "storage/record/body_record.h"
#include "storage/record/chunk_reader.h"
#include "storage/record/keys.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {
namespace {

class LogReader {
 public:
  LogReader(KvStore& store, const ReadRequest& request, SharedBlocks* blocks)
      : store_(store), request_(request), blocks_(blocks) {}

  Result<ReadOutcome> run();
  Result<ReadOutcome> run_due();
  Result<ReadOutcome> run_fetch();

 private:
  struct Source {
    std::unique_ptr<ChunkCursor> cursor;
    Durability durability = Durability::durable;
    Seq base() const;
  };

  void open(Family family, Durability durability);
  // The source whose next chunk starts first; null when all are at their end.
  Source* lowest();
  Status load(Source& source);
  Result<AckSet> stored_acks(Seq base, bool& stored);
  Status end_of_index(const KvCursor& cursor, std::string_view index);
  Status add_returns();
  Status take_entries(const ChunkReader& chunk, AckSet acks, bool acks_stored,
                      Durability durability);
  Result<BlockRef> shared_block(const BodyRef& ref);
  void count_damage(Bytes value, Seq base, const AckSet* acks, const Error& error);

  KvStore& store_;
  const ReadRequest request_;
  SharedBlocks* const blocks_;  // may be null
  std::vector<Source> sources_;
  ReadOutcome out_;
  Seq covered_ = 0;  // everything below is covered, in all sources
  std::size_t bytes_ = 0;
};

Seq LogReader::Source::base() const {
  const auto key = decode_chunk_key(cursor->key());
  WARREN_ASSERT(key.has_value());
  return key->base;
}

void LogReader::open(Family family, Durability durability) {
  sources_.push_back(
      Source{std::make_unique<ChunkCursor>(store_, family, ChunkKey{request_.log, request_.from},
                                           ChunkKey{request_.log, request_.to}),
             durability});
}

LogReader::Source* LogReader::lowest() {
  Source* best = nullptr;
  for (Source& source : sources_) {
    if (!source.cursor->valid()) continue;
    if (best == nullptr || source.base() < best->base()) best = &source;
  }
  return best;
}

Result<ReadOutcome> LogReader::run() {
  covered_ = request_.from;
  open(Family::queue_log, Durability::durable);
  if (request_.spilled) open(Family::spill, Durability::paged);
  Source* source = lowest();
  for (; source != nullptr; source = lowest()) {
    // Stop between chunks that do not overlap, never within ones that do.
    const bool enough = bytes_ >= std::max<std::size_t>(request_.bytes_hint, 1);
    if (enough && source->base() >= covered_) break;
    WARREN_CHECK(load(*source));
    source->cursor->next();
  }
  Status failure;
  for (const Source& each : sources_) {
    if (!each.cursor->valid() && !each.cursor->status().ok()) failure = each.cursor->status();
  }
  if (!failure.ok()) {
    // What was read is good; the next read starts at the trouble and reports it.
    if (out_.messages.empty()) return failure.error();
    out_.next = covered_;
  } else {
    out_.next = source != nullptr ? source->base() : request_.to;
  }
  std::ranges::sort(out_.messages, {}, &StoredMessage::seq);
  if (request_.returns) WARREN_CHECK(add_returns());
  return std::move(out_);
}

Result<ReadOutcome> LogReader::run_fetch() {
  Seq last_chunk = 0;
  std::set<Seq> wanted;
  for (const DueEntry& entry : request_.wanted) wanted.insert(entry.seq);
  for (const DueEntry& entry : request_.wanted) {
    if (entry.chunk == last_chunk) continue;
    last_chunk = entry.chunk;
    Source source{std::make_unique<ChunkCursor>(store_, Family::queue_log,
                                                ChunkKey{request_.log, entry.chunk},
                                                ChunkKey{request_.log, entry.chunk + 1}),
                  Durability::durable};
    if (source.cursor->valid()) {
      WARREN_CHECK(load(source));
    } else {
      WARREN_CHECK(source.cursor->status());
    }
    std::erase_if(out_.messages,
                  [&](const StoredMessage& message) { return !wanted.contains(message.seq); });
  }
  std::ranges::sort(out_.messages, {}, &StoredMessage::seq);
  if (request_.returns) WARREN_CHECK(add_returns());
  return std::move(out_);
}

// Both ascend: one walk along the records is enough.
Status LogReader::add_returns() {
  if (out_.messages.empty()) return {};
  const auto cursor = store_.scan(Family::queue_returns,
                                  encode_message_key({request_.log, out_.messages.front().seq}),
                                  encode_message_key({request_.log, out_.messages.back().seq + 1}));
  auto at = out_.messages.begin();
  for (; cursor->valid(); cursor->next()) {
    const auto key = decode_message_key(cursor->key());
    const auto returns = decode_returns(cursor->value());
    if (!key.has_value() || !returns.ok()) {
      WLOG(error, "count of returns damaged, taken for none log={}", request_.log.value);
      continue;
    }
    while (at != out_.messages.end() && at->seq < key->seq) ++at;
    if (at != out_.messages.end() && at->seq == key->seq) at->returns = *returns;
  }
  return end_of_index(*cursor, "counts of returns");
}

Result<ReadOutcome> LogReader::run_due() {
  const DueEntry& after = request_.after;
  const auto cursor =
      store_.scan(Family::queue_due, encode_due_key({request_.log, after.due_ms, after.seq + 1}),
                  encode_due_key({LogId(request_.log.value + 1), 0, 0}));
  for (; cursor->valid() && out_.due.size() < request_.limit; cursor->next()) {
    const auto key = decode_due_key(cursor->key());
    const auto chunk = decode_due_chunk(cursor->value());
    if (!key.has_value() || !chunk.ok()) {
      WLOG(error, "due entry damaged, its message expires at the head log={}", request_.log.value);
      continue;
    }
    out_.due.push_back(DueEntry{key->due_ms, key->seq, *chunk});
  }
  if (!cursor->valid()) WARREN_CHECK(end_of_index(*cursor, "index of due times"));
  return std::move(out_);
}

// An empty set when there is none; `stored`: there is a record, good or bad.
Result<AckSet> LogReader::stored_acks(Seq base, bool& stored) {
  stored = true;
  WARREN_TRY(const auto record,
             store_.get(Family::queue_acks, encode_chunk_key({request_.log, base})));
  stored = record.has_value();
  if (!stored) return AckSet();
  return AckSet::decode(*record);
}

// The end of a walk over an index. What is damaged in it is named and done without: a queue is
// worth more than its index.
Status LogReader::end_of_index(const KvCursor& cursor, std::string_view index) {
  const Status status = cursor.status();
  if (status.ok() || status.error().code != Errc::corruption) return status;
  WLOG(error, "{} damaged, its log does without log={} error=\"{}\"", index, request_.log.value,
       status.error().text);
  return {};
}

Status LogReader::load(Source& source) {
  const Seq base = source.base();
  const auto& gap = source.cursor->gap();
  const Bytes value = gap.has_value() ? Bytes() : source.cursor->value();
  bytes_ += value.size();
  covered_ = std::max(covered_, base + 1);

  AckSet acks;
  bool acks_stored = false;
  if (source.durability == Durability::durable) {
    auto decoded = stored_acks(base, acks_stored);
    if (decoded.ok()) {
      acks = decoded.take();
    } else if (decoded.error().code == Errc::io_error) {
      return decoded.error();
    } else {
      out_.acks_damaged = true;
      WLOG(error, "settled set damaged, its messages come again log={} chunk={} error=\"{}\"",
           request_.log.value, base, decoded.error().text);
    }
  }

  // Where even the store below finds damage there are no bytes to look at.
  auto opened = gap.has_value() ? Result<ChunkReader>(gap->error) : ChunkReader::open(value);
  if (opened.ok() && (opened->log() != request_.log || opened->first() != base)) {
    opened = Error{Errc::corruption, "chunk is under a wrong key"};
  }
  if (!opened.ok()) {
    count_damage(value, base, acks.count() > 0 ? &acks : nullptr, opened.error());
    return {};
  }
  if (acks.count() != opened->count()) {
    if (acks.count() != 0) out_.acks_damaged = true;
    acks = AckSet(opened->count());
  }
  WARREN_ASSERT(request_.kind == ReadRequest::Kind::fetch || opened->last() < request_.to);
  covered_ = std::max(covered_, opened->last() + 1);
  return take_entries(*opened, std::move(acks), acks_stored, source.durability);
}

// Errc::corruption when it is not there as the reference says.
Result<BlockRef> LogReader::shared_block(const BodyRef& ref) {
  BlockRef known = blocks_ != nullptr ? blocks_->find(ref.body) : nullptr;
  if (known != nullptr && known->size() == ref.bytes) return known;
  WARREN_TRY(const auto sealed, store_.get(Family::bodies, encode_body_key(ref.body)));
  if (!sealed.has_value()) return Error{Errc::corruption, "there is no such body"};
  WARREN_TRY(const Bytes block, decode_body(*sealed));
  if (block.size() != ref.bytes) return Error{Errc::corruption, "body has a wrong size"};
  return blocks_ != nullptr ? blocks_->add(ref.body, block) : Block::copy_of(block);
}

Status LogReader::take_entries(const ChunkReader& chunk, AckSet acks, bool acks_stored,
                               Durability durability) {
  if (acks.all()) return {};
  std::vector<ChunkEntry> entries;
  entries.reserve(chunk.count());
  for (std::uint32_t i = 0; i < chunk.count(); ++i) {
    entries.push_back(chunk.entry(i));
    if (acks.test(i)) continue;
    const auto ref = chunk.shared(i);
    if (!ref.has_value()) {
      out_.messages.push_back(
          StoredMessage{entries.back().seq, durability, Block::copy_of(entries.back().block)});
      continue;
    }
    bytes_ += ref->bytes;
    auto block = shared_block(*ref);
    if (block.ok()) {
      out_.messages.push_back(StoredMessage{entries.back().seq, durability, block.take()});
      continue;
    }
    if (block.error().code == Errc::io_error) return block.error();
    // Out of its turn nothing is decided: the read in its turn will meet it, too.
    if (request_.kind == ReadRequest::Kind::fetch) continue;
    out_.lost.push_back(ReadOutcome::Lost{entries.back().seq, ref->bytes, block.error()});
    acks.set(i);
  }
  if (acks.all()) return {};
  ReadOutcome::Chunk loaded{make_chunk_meta(entries), durability};
  loaded.meta.acks = std::move(acks);
  loaded.meta.acks_stored = acks_stored;
  loaded.meta.bodies = chunk.bodies();
  out_.chunks.push_back(std::move(loaded));
  return {};
}

void LogReader::count_damage(Bytes value, Seq base, const AckSet* acks, const Error& error) {
  const std::uint64_t entries = damaged_entry_count(value);
  const std::uint64_t settled = acks != nullptr ? acks->settled() : 0;
  const std::uint64_t lost = entries > settled ? entries - settled : 1;
  out_.damaged += lost;
  out_.damaged_bytes += value.size();
  if (value.empty()) {
    // How many it held is seen when all that can be read of the log was.
    WLOG(error, "chunk damaged, not delivered log={} chunk={} error=\"{}\"", request_.log.value,
         base, error.text);
    return;
  }
  WLOG(error, "chunk damaged, not delivered log={} chunk={} bytes={} messages={} error=\"{}\"",
       request_.log.value, base, value.size(), lost, error.text);
}

}  // namespace

Result<ReadOutcome> read_log(KvStore& store, const ReadRequest& request, SharedBlocks* blocks) {
  LogReader reader(store, request, blocks);
  switch (request.kind) {
    case ReadRequest::Kind::stretch:
      break;
    case ReadRequest::Kind::fetch:
      return reader.run_fetch();
    case ReadRequest::Kind::due:
      return reader.run_due();
  }
  return reader.run();
}

}  // namespace warren::storage
