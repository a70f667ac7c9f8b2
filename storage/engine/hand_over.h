// SPDX-License-Identifier: Apache-2.0
// What one shard gives to the committer at the end of a turn, and gets back once it is durable.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "storage/base/ids.h"
#include "storage/engine/queue_log.h"
#include "storage/kv/kv_batch.h"
#include "storage/record/keys.h"

namespace warren::storage {

// One shard's part of a publish (or a dead-lettering) that touches several shards (S4).
struct FanoutPart {
  std::uint64_t fanout = 0;
  unsigned shard_count = 0;
};

// What a hand-over says about one log.
struct LogCommit {
  LogId log;
  Seq first = 0;  // what was appended lies in [first, last]; 0 when nothing was
  Seq last = 0;
  std::uint64_t number = 0;  // of the log's hand-overs
  Seq mark = 0;  // the delivered mark that becomes durable; 0 when the state was not written
};

// A chunk of this hand-over refers to the body.
struct BodyUse {
  BodyId body;
  BlockRef block;
};

struct HandOver {
  // What it adds to a commit, about.
  std::size_t bytes() const { return batch.bytes() + shared_bytes; }

  ShardIndex shard = 0;
  KvBatch batch;
  KvBatch spill;  // written before `batch`, without the write-ahead log
  std::vector<FanoutPart> fanouts;
  std::vector<CommitToken> tokens;
  std::vector<LogCommit> logs;
  std::vector<BodyUse> shared;     // one per reference
  std::vector<BodyId> released;    // one per reference of a chunk that is erased
  std::vector<SweepKey> sweeps;    // ranges that are erased; `batch` has their records
  std::uint64_t shared_bytes = 0;  // of the blocks in `shared`, each counted once
  std::uint64_t appended_bytes = 0;
};

using HandOvers = std::vector<std::unique_ptr<HandOver>>;

}  // namespace warren::storage
