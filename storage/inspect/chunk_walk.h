// SPDX-License-Identifier: Apache-2.0
// Walks the chunks of a stretch of the store in key order, each with the set of what is settled in
// it and of the bodies that it refers to, and goes on behind whatever is damaged. Memory: one chunk
// and its sets. Reads queue_log, queue_acks and queue_shared; knows nothing of queues. Checks: S7.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/engine/chunk_cursor.h"
#include "storage/kv/kv_store.h"
#include "storage/record/ack_set.h"
#include "storage/record/chunk_reader.h"
#include "storage/record/keys.h"

namespace warren::storage {

struct WalkedChunk {
  enum class Kind : std::uint8_t {
    sound,         // `reader` is set
    damaged,       // `value` fails its checksum or is under a wrong key: `error` says which
    unreadable,    // the store below fails to give it; stands for all keys of [key, gap_end)
    missing,       // a settled set or references without their chunk
    malformed_key  // neither log nor seq can be told
  };
  Kind kind = Kind::sound;
  ChunkKey key;
  Bytes raw_key;
  Bytes value;
  std::optional<ChunkReader> reader;
  std::optional<Error> error;
  ChunkKey gap_end;

  bool has_acks = false;
  Bytes raw_acks;
  std::optional<AckSet> acks;  // when they are sound and of the chunk's size
  std::optional<Error> acks_error;

  bool has_shared = false;  // a record in queue_shared
  Bytes raw_shared;
  std::optional<std::vector<BodyId>> shared;  // what it says, when it is sound
  std::optional<Error> shared_error;

  // REQUIRES: kind is sound, index < reader->count().
  bool settled(std::uint32_t index) const { return acks.has_value() && acks->test(index); }
};

class ChunkWalk {
 public:
  ChunkWalk(KvStore& store, const ChunkKey& from, const ChunkKey& to)
      : chunks_(store, Family::queue_log, from, to),
        acks_(store, Family::queue_acks, from, to),
        shared_(store, Family::queue_shared, from, to) {
    load();
  }

  bool valid() const { return valid_; }
  // Views until next(). REQUIRES: valid().
  const WalkedChunk& chunk() const { return chunk_; }
  void next();
  // Why valid() is false: ok at the end. Not ok: the rest is unknown, which is not damaged.
  Status status() const;

 private:
  void load();
  void load_chunk();
  void load_acks();
  void load_shared();
  void load_missing();

  ChunkCursor chunks_;
  ChunkCursor acks_;
  ChunkCursor shared_;
  WalkedChunk chunk_;
  bool took_chunk_ = false;
  bool took_acks_ = false;
  bool took_shared_ = false;
  bool valid_ = false;
};

// The base of the chunk of `log` that would hold `seq`: the last one at or below it, else `seq`.
Seq chunk_base_for(KvStore& store, LogId log, Seq seq);

}  // namespace warren::storage
