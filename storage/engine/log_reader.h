// SPDX-License-Identifier: Apache-2.0
// Reads a stretch of one log from the store: chunks, checked, with what is settled in them left
// out. Blocking; runs on a reader thread. Keeps: S7.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/engine/chunk_table.h"
#include "storage/engine/queue_log.h"
#include "storage/engine/shared_blocks.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

struct ReadRequest {
  enum class Kind : std::uint8_t {
    stretch,  // chunks of [from, to)
    fetch,    // the messages of `wanted`, and their chunks
    due,      // `limit` due entries behind `after`
  };
  Kind kind = Kind::stretch;
  LogId log;
  Seq from = 0;
  Seq to = 0;
  std::size_t bytes_hint = 0;
  bool spilled = false;          // the log has messages in `spill`, too
  bool returns = false;          // the log has records in queue_returns
  std::vector<DueEntry> wanted;  // by chunk
  DueEntry after;
  std::size_t limit = 0;
};

struct ReadOutcome {
  struct Chunk {
    ChunkMeta meta;
    Durability durability = Durability::durable;
  };
  // A message whose chunk is sound and whose body is not there, or not sound: if it is live still,
  // it is lost. Its chunk says that it is settled.
  struct Lost {
    Seq seq = 0;
    std::uint64_t bytes = 0;
    Error error;
  };
  std::vector<StoredMessage> messages;  // ascending
  std::vector<Chunk> chunks;            // the ones that hold `messages`
  std::vector<Lost> lost;
  Seq next = 0;
  // Live messages in chunks that fail their checksum, as far as can be told.
  std::uint64_t damaged = 0;
  std::uint64_t damaged_bytes = 0;
  bool acks_damaged = false;  // settled messages may be among `messages`
  std::vector<DueEntry> due;
};

// Does what `request.kind` says. `blocks`, if given, has the shared bodies that are in memory.
Result<ReadOutcome> read_log(KvStore& store, const ReadRequest& request,
                             SharedBlocks* blocks = nullptr);

}  // namespace warren::storage
