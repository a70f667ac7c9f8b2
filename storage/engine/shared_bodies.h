// SPDX-License-Identifier: Apache-2.0
// Bodies that several logs refer to, from the committer's side: puts each one once, counts its
// references over all shards, and erases it with the last one. What a range deletion took away is
// released later, in bounded steps. Keeps: S6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "storage/engine/hand_over.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

// Runs on: whoever commits. Owned by: Committer. Bound: a step's worth of records, and the ranges
// that are yet to be swept.
class SharedBodies {
 public:
  // A step of a sweep looks at up to `sweep_records_max` chunks.
  SharedBodies(KvStore& store, std::size_t sweep_records_max)
      : store_(store), sweep_records_max_(sweep_records_max) {}

  // What the group means for the bodies, to be committed with it.
  Status settle(const HandOvers& group, KvBatch& out);

  // The ranges were erased, durably.
  void add_sweeps(std::span<const SweepKey> ranges);
  bool sweeping() const { return !sweeps_.empty(); }
  // One step, with a commit of its own that waits for no fsync: a crash repeats it.
  Status sweep();

 private:
  struct Change {
    const Block* block = nullptr;  // of a body that is new in this group
    std::uint64_t added = 0;
    std::uint64_t released = 0;
  };
  using Changes = std::map<BodyId, Change>;
  Status apply(const Changes& changes, KvBatch& out);
  Status lower(const BodyId& body, std::uint64_t by, KvBatch& out);

  struct Sweep {
    SweepKey range;
    Seq at = 0;  // everything below is done
  };
  struct Step {
    KvBatch batch;
    Changes changes;
    std::set<ChunkKey> seen;  // ranges may overlap
    std::size_t left = 0;
  };
  Status sweep_some(Sweep& sweep, Step& step, bool& done);

  KvStore& store_;  // borrowed: outlives the committer
  const std::size_t sweep_records_max_;
  std::deque<Sweep> sweeps_;
};

}  // namespace warren::storage
