// SPDX-License-Identifier: Apache-2.0
// The numbers that storage and broker share.
#pragma once

#include <compare>
#include <cstdint>

#include "storage/base/strong_id.h"

namespace warren {

// One queue's log in the store. Never 0, never reused while anything of the old log is on disk.
using LogId = StrongId<struct LogIdTag>;

// Position of a message in its queue: from 1, in publish order, never reused (S1).
using Seq = std::uint64_t;

// A message body that several logs refer to: who named it (a shard, in one life of the store), and
// how many it had named by then. Never given twice. Number 0: none.
struct BodyId {
  std::uint64_t origin = 0;
  std::uint64_t number = 0;

  explicit operator bool() const { return number != 0; }
  friend constexpr auto operator<=>(const BodyId&, const BodyId&) = default;
};

// A shard: an index into the process's shard threads, 0 is the control shard.
using ShardIndex = std::uint32_t;

}  // namespace warren
