// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/chunk_walk.h"

#include <algorithm>
#include <utility>

#include "storage/base/assert.h"

namespace warren::storage {
namespace {

// A chunk key as one number, to bisect over.
using KeyNumber = unsigned __int128;

KeyNumber number_of(Bytes key) {
  KeyNumber out = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    out = (out << 8) | (i < key.size() ? static_cast<std::uint8_t>(key[i]) : 0);
  }
  return out;
}

std::string key_of(KeyNumber number) {
  return encode_chunk_key(
      {LogId(static_cast<std::uint64_t>(number >> 64)), static_cast<std::uint64_t>(number)});
}

// Neighbours that are damaged one by one are named one by one, up to so many; a whole block of the
// store below that cannot be read is passed over in one leap.
constexpr int kSinglesMax = 16;

}  // namespace

ChunkCursor::ChunkCursor(KvStore& store, Family family, const ChunkKey& from, const ChunkKey& to)
    : store_(store), family_(family), at_(encode_chunk_key(from)), to_(encode_chunk_key(to)) {
  cursor_ = store_.scan(family_, at_, to_);
  settle();
}

void ChunkCursor::next() {
  WARREN_ASSERT(valid());
  if (gap_.has_value()) {
    at_ = gap_->to;
    gap_.reset();
    cursor_ = store_.scan(family_, at_, to_);
  } else {
    at_.assign(cursor_->key());
    at_.push_back('\0');
    cursor_->next();
  }
  settle();
}

void ChunkCursor::settle() {
  if (cursor_->valid()) return;
  if (const Status status = cursor_->status(); !status.ok()) find_gap(status.error());
}

bool ChunkCursor::unreadable(const std::string& from, const std::string& to) const {
  const auto cursor = store_.scan(family_, from, to);
  return !cursor->valid() && !cursor->status().ok();
}

void ChunkCursor::find_gap(const Error& error) {
  const KeyNumber end = number_of(to_);
  // The key just seen, if it was one, is below.
  KeyNumber begin = number_of(at_);
  if (at_.size() > 16) ++begin;
  if (begin >= end) return;
  // The first bad key: the least `bad` for which [begin, bad + 1) cannot be read.
  KeyNumber good = begin;
  KeyNumber bad = end;
  if (!unreadable(key_of(begin), to_)) {
    // It can be read now: the trouble was elsewhere, and is met again if it is still there.
    cursor_ = store_.scan(family_, key_of(begin), to_);
    return;
  }
  while (bad - good > 1) {
    const KeyNumber middle = good + (bad - good) / 2;
    (unreadable(key_of(begin), key_of(middle)) ? bad : good) = middle;
  }
  const KeyNumber first = bad - 1;
  // The first key behind it from where reading works again.
  KeyNumber behind = bad;
  KeyNumber step = 1;
  for (int singles = 0; behind < end && unreadable(key_of(behind), key_of(behind + 1));) {
    if (++singles > kSinglesMax) step *= 2;
    behind = end - behind > step ? behind + step : end;
  }
  gap_ = Gap{key_of(first), key_of(behind), error};
}

void ChunkWalk::next() {
  if (took_chunk_) chunks_.next();
  if (took_acks_) acks_.next();
  load();
}

void ChunkWalk::load() {
  chunk_ = WalkedChunk();
  // A settled set that cannot be read is a set that is not there: its messages come again.
  valid_ = chunks_.valid() || acks_.valid();
  if (!valid_) return;
  took_chunk_ = chunks_.valid() && (!acks_.valid() || chunks_.key() <= acks_.key());
  took_acks_ = acks_.valid() && (!chunks_.valid() || acks_.key() <= chunks_.key());
  if (took_chunk_) load_chunk();
  if (took_acks_) load_acks();
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
  if (!took_chunk_) {
    chunk_.kind = WalkedChunk::Kind::missing;
    chunk_.raw_key = acks_.key();
    const auto key = decode_chunk_key(chunk_.raw_key);
    if (key.has_value()) {
      chunk_.key = *key;
    } else {
      chunk_.kind = WalkedChunk::Kind::malformed_key;
      chunk_.error = Error{Errc::corruption, "settled set under a malformed key"};
    }
  }
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
    const Seq middle = low + (high - low + 1) / 2;
    if (meets(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace warren::storage
