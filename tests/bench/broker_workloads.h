// SPDX-License-Identifier: Apache-2.0
// Messages through the whole broker (session, shard, queue, engine) over a store in memory: one
// publisher, one consumer, batches as they come off a busy socket.
#pragma once

#include <memory>

#include "tests/bench/workload.h"

namespace warren::bench {

std::unique_ptr<Workload> make_deliver();         // transient, 16 bytes, no acknowledgements
std::unique_ptr<Workload> make_deliver_acked();   // transient, 16 bytes, each acknowledged
std::unique_ptr<Workload> make_commit();          // persistent, 16 bytes, confirms, acks of 100
std::unique_ptr<Workload> make_commit_1k();       // the same, 1 KiB
std::unique_ptr<Workload> make_commit_shards();   // the same, publisher and queue on two shards
std::unique_ptr<Workload> make_store();           // persistent, 1 KiB, nobody consumes
std::unique_ptr<Workload> make_read_from_disk();  // 1 KiB from the disk to a consumer
std::unique_ptr<Workload> make_subscribe();       // one channel consumes again and again

}  // namespace warren::bench
