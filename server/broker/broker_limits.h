// SPDX-License-Identifier: Apache-2.0
// Every bound of the broker layer that an operator can set, and the fixed ones.
#pragma once

#include <cstdint>

#include "storage/base/units.h"

namespace warren::broker {

// What a queue keeps in memory when the budget of all windows is used up: with consumers, without.
inline constexpr std::uint64_t kUsedQueueWindowBytes = 512_KiB;
inline constexpr std::uint64_t kIdleQueueWindowBytes = 16_KiB;

// How long publishers wait for consumers that took nothing more (Queue::fit_publishers).
inline constexpr std::int64_t kPatienceMs = 10;

// What publishes to several queues may copy between two turns of their shard.
inline constexpr std::uint64_t kCopiedPerTurnBytes = 4_MiB;

struct BrokerLimits {
  // Ready messages that a queue keeps in memory before the rest is on disk only.
  std::uint64_t queue_window_bytes = 4_MiB;
  // Ready messages that all queues of a shard keep in memory; beyond it each keeps little.
  std::uint64_t windows_bytes_per_shard = 256_MiB;
  // Transient messages of one shard in memory; beyond it they are paged out.
  std::uint64_t transient_bytes_per_shard = 256_MiB;
  // Bytes published and not committed, or on the way to another shard, above which publishers are
  // not read.
  std::uint64_t backlog_bytes = 16_MiB;
  // Queues of one vhost; 0: no limit.
  std::size_t queues_max = 0;
};

}  // namespace warren::broker
