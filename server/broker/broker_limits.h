// SPDX-License-Identifier: Apache-2.0
// Every bound of the broker layer that an operator can set, and the fixed ones.
#pragma once

#include <cstdint>

#include "storage/base/units.h"

namespace warren::broker {

struct BrokerLimits {
  // Ready messages that a queue keeps in memory before the rest is on disk only.
  std::uint64_t queue_window_bytes = 4_MiB;
  // Transient messages of one shard in memory; beyond it they are paged out.
  std::uint64_t transient_bytes_per_shard = 256_MiB;
  // Bytes published and not committed, or on the way to another shard, above which publishers are
  // not read.
  std::uint64_t backlog_bytes = 16_MiB;
  // Queues of one vhost; 0: no limit.
  std::size_t queues_max = 0;
};

}  // namespace warren::broker
