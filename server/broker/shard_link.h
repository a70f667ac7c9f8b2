// SPDX-License-Identifier: Apache-2.0
// The way from one shard to another: threads and mailboxes in production, one loop in tests and the
// simulator.
#pragma once

#include <vector>

#include "server/broker/shard_messages.h"

namespace warren::broker {

class ShardLink {
 public:
  virtual ~ShardLink() = default;
  // Hands a batch to shard `to`, which gets it through BrokerShard::receive in a later turn. FIFO
  // per pair.
  virtual void send(ShardIndex from, ShardIndex to, std::vector<ShardMessage> batch) = 0;
};

}  // namespace warren::broker
