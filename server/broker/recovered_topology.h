// SPDX-License-Identifier: Apache-2.0
// Stored definitions -> the changes that every shard loads at start.
#pragma once

#include <vector>

#include "storage/engine/definitions.h"

#include "server/broker/topology.h"

namespace warren::broker {

// In an order in which they can be applied: vhosts, users, permissions, policies, exchanges,
// queues, bindings. What refers to something that does not exist is left out and named in the log.
// Queues are dealt out to the shards.
std::vector<TopologyChange> recovered_topology(std::vector<storage::Definition> definitions,
                                               unsigned shard_count);

}  // namespace warren::broker
