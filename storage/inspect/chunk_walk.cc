// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/chunk_walk.h"

#include <utility>

#include "storage/record/body_record.h"

namespace warren::storage {

Status ChunkWalk::status() const {
  for (const ChunkCursor* cursor : {&chunks_, &acks_, &shared_}) {
    if (!cursor->status().ok()) return cursor->status();
  }
  return {};
}

void ChunkWalk::next() {
  if (took_chunk_) chunks_.next();
  if (took_acks_) acks_.next();
  if (took_shared_) shared_.next();
  load();
}

void ChunkWalk::load() {
  chunk_ = WalkedChunk();
  // A settled set that cannot be read is a set that is not there: its messages come again.
  std::optional<Bytes> lowest;
  for (const ChunkCursor* cursor : {&chunks_, &acks_, &shared_}) {
    if (cursor->valid() && (!lowest.has_value() || cursor->key() < *lowest)) lowest = cursor->key();
  }
  valid_ = status().ok() && lowest.has_value();
  if (!valid_) return;
  took_chunk_ = chunks_.valid() && chunks_.key() == *lowest;
  took_acks_ = acks_.valid() && acks_.key() == *lowest;
  took_shared_ = shared_.valid() && shared_.key() == *lowest;
  if (took_chunk_) {
    load_chunk();
  } else {
    load_missing();
  }
  if (took_acks_) load_acks();
  if (took_shared_) load_shared();
}

void ChunkWalk::load_missing() {
  chunk_.kind = WalkedChunk::Kind::missing;
  chunk_.raw_key = took_acks_ ? acks_.key() : shared_.key();
  const auto key = decode_chunk_key(chunk_.raw_key);
  if (key.has_value()) {
    chunk_.key = *key;
    return;
  }
  chunk_.kind = WalkedChunk::Kind::malformed_key;
  chunk_.error = Error{Errc::corruption, took_acks_ ? "settled set under a malformed key"
                                                    : "references under a malformed key"};
}

void ChunkWalk::load_chunk() {
  chunk_.raw_key = chunks_.key();
  const auto key = decode_chunk_key(chunk_.raw_key);
  if (key.has_value()) chunk_.key = *key;
  if (const auto& gap = chunks_.gap()) {
    chunk_.kind = WalkedChunk::Kind::unreadable;
    chunk_.gap_end = decode_chunk_key(gap->to).value_or(ChunkKey{});
    chunk_.error = gap->error;
    return;
  }
  chunk_.value = chunks_.value();
  if (!key.has_value()) {
    chunk_.kind = WalkedChunk::Kind::malformed_key;
    chunk_.error = Error{Errc::corruption, "chunk under a malformed key"};
    return;
  }
  auto opened = ChunkReader::open(chunk_.value);
  if (opened.ok() && (opened->log() != key->log || opened->first() != key->base)) {
    opened = Error{Errc::corruption, "chunk is under a wrong key"};
  }
  if (opened.ok()) {
    chunk_.reader = opened.take();
  } else {
    chunk_.kind = WalkedChunk::Kind::damaged;
    chunk_.error = opened.error();
  }
}

void ChunkWalk::load_acks() {
  chunk_.has_acks = true;
  if (const auto& gap = acks_.gap()) {
    chunk_.acks_error = gap->error;
    return;
  }
  chunk_.raw_acks = acks_.value();
  auto acks = AckSet::decode(chunk_.raw_acks);
  if (!acks.ok()) {
    chunk_.acks_error = acks.error();
  } else if (chunk_.reader.has_value() && acks->count() != chunk_.reader->count()) {
    chunk_.acks_error = Error{Errc::corruption, "settled set has a wrong size"};
  } else {
    chunk_.acks = acks.take();
  }
}

void ChunkWalk::load_shared() {
  chunk_.has_shared = true;
  if (const auto& gap = shared_.gap()) {
    chunk_.shared_error = gap->error;
    return;
  }
  chunk_.raw_shared = shared_.value();
  auto shared = decode_shared(chunk_.raw_shared);
  if (shared.ok()) {
    chunk_.shared = shared.take();
  } else {
    chunk_.shared_error = shared.error();
  }
}

Seq chunk_base_for(KvStore& store, LogId log, Seq seq) {
  // The greatest `low` from which a scan up to `seq` still meets a chunk.
  const std::string end = encode_chunk_key({log, seq});
  const auto meets = [&](Seq from) {
    const auto cursor =
        store.scan(Family::queue_log, encode_chunk_key({log, from}), end + std::string(1, '\0'));
    return cursor->valid() || !cursor->status().ok();
  };
  if (seq == 0 || !meets(0)) return seq;
  Seq low = 0;
  for (Seq high = seq; low < high;) {
    const Seq middle = high - (high - low) / 2;  // rounded up
    if (meets(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace warren::storage
