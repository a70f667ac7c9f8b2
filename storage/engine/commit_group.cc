// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/commit_group.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "storage/base/assert.h"

namespace warren::storage {

void CommitQueue::add(std::unique_ptr<HandOver> hand_over) {
  WARREN_ASSERT(hand_over->shard < shards_.size());
  fanout_parts_ += hand_over->fanouts.size();
  ++size_;
  shards_[hand_over->shard].push_back(std::move(hand_over));
}

CommitQueue::Cuts CommitQueue::cut_by_bytes(std::size_t bytes_max) const {
  Cuts cuts(shards_.size(), 0);
  std::size_t bytes = 0;
  bool grew = true;
  // Round by round, so that no shard waits for another's backlog.
  while (grew && bytes < bytes_max) {
    grew = false;
    for (std::size_t s = 0; s < shards_.size() && bytes < bytes_max; ++s) {
      if (cuts[s] == shards_[s].size()) continue;
      bytes += shards_[s][cuts[s]]->bytes();
      ++cuts[s];
      grew = true;
    }
  }
  return cuts;
}

void CommitQueue::make_consistent(Cuts& cuts) const {
  if (fanout_parts_ == 0) return;
  // Cutting a shard can take parts away from fan-outs of the others: repeat until nothing changes.
  bool changed = true;
  while (changed) {
    changed = false;
    std::unordered_map<std::uint64_t, unsigned> parts;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      for (std::size_t i = 0; i < cuts[s]; ++i) {
        for (const FanoutPart& part : shards_[s][i]->fanouts) ++parts[part.fanout];
      }
    }
    const auto complete = [&](const FanoutPart& part) {
      const unsigned in = parts[part.fanout];
      WARREN_INVARIANT(S4, in <= part.shard_count);
      return in == part.shard_count;
    };
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      for (std::size_t i = 0; i < cuts[s]; ++i) {
        if (std::ranges::all_of(shards_[s][i]->fanouts, complete)) continue;
        cuts[s] = i;
        changed = true;
      }
    }
  }
}

HandOvers CommitQueue::take(std::size_t bytes_max) {
  Cuts cuts = cut_by_bytes(bytes_max);
  make_consistent(cuts);
  if (std::accumulate(cuts.begin(), cuts.end(), std::size_t{0}) == 0) {
    for (std::size_t s = 0; s < shards_.size(); ++s) cuts[s] = shards_[s].size();
    make_consistent(cuts);
  }
  HandOvers out;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    for (std::size_t i = 0; i < cuts[s]; ++i) {
      fanout_parts_ -= shards_[s].front()->fanouts.size();
      out.push_back(std::move(shards_[s].front()));
      shards_[s].pop_front();
    }
  }
  size_ -= out.size();
  return out;
}

}  // namespace warren::storage
