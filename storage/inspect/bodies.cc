// SPDX-License-Identifier: Apache-2.0
#include "storage/inspect/bodies.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "storage/engine/chunk_cursor.h"

namespace warren::storage {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

DamagedRecord damaged_record(Family family, const ChunkCursor& cursor, Error error) {
  return DamagedRecord{family, std::string(cursor.key()), std::string(cursor.value()),
                       std::move(error)};
}

Error malformed_key() {
  return Error{Errc::corruption, "a malformed key"};
}

}  // namespace

Status StoredBodies::read(KvStore& store, const Handlers& handlers) {
  // Their keys are as long as a chunk's.
  for (const Family family : {Family::bodies, Family::body_counts}) {
    ChunkCursor cursor(store, family, ChunkKey{}, ChunkKey{LogId(kMax), kMax});
    for (; cursor.valid(); cursor.next()) {
      if (const auto& gap = cursor.gap()) {
        if (family == Family::bodies) {
          WARREN_CHECK(handlers.on_gap(BodyGap{gap->from, gap->to, gap->error}));
        }
        continue;  // a count that is not there is made again
      }
      const auto key = decode_body_key(cursor.key());
      Status status = key.has_value() ? Status() : malformed_key();
      if (status.ok() && family == Family::bodies) {
        const auto block = decode_body(cursor.value());
        if (block.ok()) {
          bodies_[*key].present = true;
          bodies_[*key].bytes = block->size();
        } else {
          status = block.error();
        }
      } else if (status.ok()) {
        const auto count = decode_body_count(cursor.value());
        if (count.ok()) {
          bodies_[*key].count = *count;
        } else {
          status = count.error();
        }
      }
      if (!status.ok()) {
        WARREN_CHECK(handlers.on_damaged(damaged_record(family, cursor, status.error())));
      }
    }
    WARREN_CHECK(cursor.status());
  }
  return {};
}

void StoredBodies::refer(const std::vector<BodyId>& bodies) {
  for (const BodyId& body : bodies) ++bodies_[body].references;
}

std::optional<std::string> StoredBodies::trouble(const BodyRef& ref) const {
  const auto found = bodies_.find(ref.body);
  if (found == bodies_.end() || !found->second.present) {
    return body_name(ref.body) + " is missing or damaged";
  }
  if (found->second.bytes != ref.bytes) {
    return fmt::format("{} has {} bytes, not {}", body_name(ref.body), found->second.bytes,
                       ref.bytes);
  }
  return std::nullopt;
}

bool Sweeps::covers(const ChunkKey& chunk) const {
  return std::ranges::any_of(ranges, [&](const SweepKey& range) {
    return chunk.log == range.log && chunk.base >= range.from && chunk.base < range.to;
  });
}

Result<Sweeps> read_sweeps(KvStore& store) {
  Sweeps out;
  const auto cursor = store.scan(Family::meta, kSweepKeyPrefix, kSweepKeysEnd);
  for (; cursor->valid(); cursor->next()) {
    if (const auto key = decode_sweep_key(cursor->key())) {
      out.ranges.push_back(*key);
    } else {
      out.damaged.push_back(DamagedRecord{Family::meta, std::string(cursor->key()),
                                          std::string(cursor->value()), malformed_key()});
    }
  }
  WARREN_CHECK(cursor->status());
  return out;
}

Result<BlockRef> block_of_entry(KvStore& store, const ChunkReader& chunk, std::uint32_t index) {
  const auto ref = chunk.shared(index);
  if (!ref.has_value()) return Block::copy_of(chunk.entry(index).block);
  WARREN_TRY(const auto sealed, store.get(Family::bodies, encode_body_key(ref->body)));
  if (!sealed.has_value()) {
    return Error{Errc::corruption, body_name(ref->body) + " is missing"};
  }
  WARREN_TRY(const Bytes block, decode_body(*sealed));
  if (block.size() != ref->bytes) {
    return Error{Errc::corruption, body_name(ref->body) + " has a wrong size"};
  }
  return Block::copy_of(block);
}

std::string body_name(const BodyId& body) {
  return fmt::format("body {}/{}", body.origin, body.number);
}

}  // namespace warren::storage
