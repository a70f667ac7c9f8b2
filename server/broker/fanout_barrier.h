// SPDX-License-Identifier: Apache-2.0
// Makes one commit out of the parts of publishes that several shards keep (S4). The shards agree on
// epochs: every shard ends an epoch by sending a marker to every other; until it has everybody
// else's, it puts aside what comes behind a marker. What it has gathered then holds, of every
// publish of the epoch, all parts or none, on all shards alike, and the hand-overs of one epoch are
// committed together.
//
// Without this the parts would have to be matched one by one, and with steady traffic no cut
// between two hand-overs would ever be clean. Costs nothing while no publish touches two shards.
// Pure data; BrokerShard moves the messages.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "server/broker/shard_messages.h"

namespace warren::broker {

// Runs on: its shard. Owned by: BrokerShard. Bound: what arrives while the slowest shard finishes
// its turn.
class FanoutBarrier {
 public:
  FanoutBarrier(ShardIndex self, unsigned shard_count)
      : self_(self), shard_count_(shard_count), ended_(shard_count, false), aside_(shard_count) {}

  std::uint64_t epoch() const { return epoch_; }
  // A part of a publish that touches several shards was gathered: the epoch must end before it is
  // handed over.
  void gathered_part() { wanted_ = true; }
  bool holds_part() const { return wanted_; }

  // Must what comes from `from` wait for the next epoch? For this shard's own: yes, from its marker
  // on.
  bool ended(ShardIndex from) const { return ended_[from]; }
  void put_aside(ShardIndex from, ShardMessage message) {
    aside_[from].push_back(std::move(message));
  }

  // Ends the epoch for `from`: its marker came, or for this shard: is being sent.
  void end(ShardIndex from) {
    ended_[from] = true;
    ++ended_count_;
  }
  // Another shard waits for this one's marker.
  bool is_awaited() const { return ended_count_ > 0 && !ended_[self_]; }
  bool complete() const { return ended_count_ == shard_count_; }
  // Nothing waits for the end of the epoch.
  bool is_idle() const { return !wanted_ && ended_count_ == 0; }

  // REQUIRES: complete(). The next epoch begins with what was put aside, in order per sender.
  std::vector<std::deque<ShardMessage>> begin_next() {
    ++epoch_;
    wanted_ = false;
    ended_count_ = 0;
    ended_.assign(shard_count_, false);
    std::vector<std::deque<ShardMessage>> all(shard_count_);
    all.swap(aside_);
    return all;
  }

 private:
  const ShardIndex self_;
  const unsigned shard_count_;
  std::uint64_t epoch_ = 1;
  bool wanted_ = false;
  unsigned ended_count_ = 0;
  std::vector<bool> ended_;
  std::vector<std::deque<ShardMessage>> aside_;
};

}  // namespace warren::broker
