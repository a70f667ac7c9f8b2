// SPDX-License-Identifier: Apache-2.0
// Bodies that several logs refer to, as a store has them: the records of `bodies` and body_counts,
// held against the references that a walk over the chunks meets. Memory: one entry per body.
// Checks: S6, S7.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/block.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/inspect/catalog.h"
#include "storage/kv/kv_store.h"
#include "storage/record/body_record.h"
#include "storage/record/chunk_reader.h"
#include "storage/record/keys.h"

namespace warren::storage {

struct StoredBody {
  bool present = false;  // and sound
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> count;  // what body_counts says
  std::uint64_t references = 0;        // what was met
};

// A stretch of `bodies` that the store below fails to give: keys of [from, to).
struct BodyGap {
  std::string from;
  std::string to;
  Error error;
};

class StoredBodies {
 public:
  struct Handlers {
    std::function<Status(DamagedRecord)> on_damaged;  // of either family; it is left out
    std::function<Status(BodyGap)> on_gap;
  };
  // Reads every body and every count.
  Status read(KvStore& store, const Handlers& handlers);

  void refer(const std::vector<BodyId>& bodies);
  // Why the block of this reference cannot be had; nothing: it can.
  std::optional<std::string> trouble(const BodyRef& ref) const;
  const std::map<BodyId, StoredBody>& all() const { return bodies_; }

 private:
  std::map<BodyId, StoredBody> bodies_;
};

// Ranges whose references are being released.
struct Sweeps {
  std::vector<SweepKey> ranges;
  std::vector<DamagedRecord> damaged;

  bool covers(const ChunkKey& chunk) const;
};
Result<Sweeps> read_sweeps(KvStore& store);

// The block of an entry, wherever it is stored. Errc::corruption when its body is not there or not
// sound.
Result<BlockRef> block_of_entry(KvStore& store, const ChunkReader& chunk, std::uint32_t index);

// "body 65536/17": for people.
std::string body_name(const BodyId& body);

}  // namespace warren::storage
