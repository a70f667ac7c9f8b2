// SPDX-License-Identifier: Apache-2.0
// Decides what goes into one commit: a prefix of each shard's hand-overs such that every fan-out in
// it is complete (a consistent cut). Pure: no I/O, no threads. Keeps: S4.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "storage/engine/hand_over.h"

namespace warren::storage {

// Bound: the shards' back-pressure on uncommitted bytes.
class CommitQueue {
 public:
  explicit CommitQueue(unsigned shard_count) : shards_(shard_count) {}

  void add(std::unique_ptr<HandOver> hand_over);

  // The largest consistent cut of about `bytes_max`, in hand-over order within each shard. More
  // than that only when a fan-out cannot be had for less. Empty when nothing can be committed yet.
  HandOvers take(std::size_t bytes_max);

  std::size_t size() const { return size_; }

 private:
  using Cuts = std::vector<std::size_t>;  // per shard: how many hand-overs, from its front
  Cuts cut_by_bytes(std::size_t bytes_max) const;
  void make_consistent(Cuts& cuts) const;

  std::vector<std::deque<std::unique_ptr<HandOver>>> shards_;
  std::size_t size_ = 0;
  std::size_t fanout_parts_ = 0;
};

}  // namespace warren::storage
