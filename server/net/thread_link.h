// SPDX-License-Identifier: Apache-2.0
// Messages between shards that are threads of one process.
#pragma once

#include <vector>

#include "server/broker/shard_link.h"
#include "server/net/shard_loop.h"

namespace warren::net {

// Thread safety: any shard.
class ThreadLink final : public broker::ShardLink {
 public:
  explicit ThreadLink(std::vector<ShardLoop*> loops) : loops_(std::move(loops)) {}

  void send(ShardIndex from, ShardIndex to, std::vector<broker::ShardMessage> batch) override {
    ShardLoop& loop = *loops_[to];
    if (loop.mailbox().put(from, std::move(batch))) loop.wake();
  }

 private:
  std::vector<ShardLoop*> loops_;
};

}  // namespace warren::net
