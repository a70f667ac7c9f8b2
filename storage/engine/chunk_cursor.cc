// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/chunk_cursor.h"

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
  const Status status = cursor_->status();
  if (status.ok()) return;
  if (status.error().code == Errc::corruption) {
    find_gap(status.error());
  } else {
    status_ = status;
  }
}

bool ChunkCursor::damaged(const std::string& from, const std::string& to) {
  const auto cursor = store_.scan(family_, from, to);
  if (cursor->valid()) return false;
  const Status status = cursor->status();
  if (status.ok()) return false;
  if (status.error().code != Errc::corruption) status_ = status;
  return status.error().code == Errc::corruption;
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
  if (!damaged(key_of(begin), to_)) {
    // It can be read now? Then nothing is known of it.
    if (status_.ok()) status_ = error;
    return;
  }
  while (bad - good > 1) {
    const KeyNumber middle = good + (bad - good) / 2;
    (damaged(key_of(begin), key_of(middle)) ? bad : good) = middle;
  }
  const KeyNumber first = bad - 1;
  // The first key behind it from where reading works again.
  KeyNumber behind = bad;
  KeyNumber step = 1;
  for (int singles = 0; behind < end && damaged(key_of(behind), key_of(behind + 1));) {
    if (++singles > kSinglesMax) step *= 2;
    behind = end - behind > step ? behind + step : end;
  }
  gap_ = Gap{key_of(first), key_of(behind), error};
}

}  // namespace warren::storage
