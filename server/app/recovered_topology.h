// SPDX-License-Identifier: Apache-2.0
// Stored definitions -> the changes that every shard loads at start.
#pragma once

#include <vector>

#include "storage/engine/store.h"

#include "server/broker/topology.h"

namespace warren::app {

// In an order in which they can be applied: vhosts, users, permissions, exchanges, queues,
// bindings. What refers to something that does not exist is left out and named in the log. Queues
// are dealt out to the shards.
std::vector<broker::TopologyChange> recovered_topology(
    const std::vector<storage::Definition>& definitions, unsigned shard_count);

// What a new store begins with: the vhost "/", and the user guest with all rights in it.
std::vector<storage::Definition> first_definitions();

}  // namespace warren::app
