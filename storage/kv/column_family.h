// SPDX-License-Identifier: Apache-2.0
// The column families by name. Their order is never load-bearing: on disk they go by name.
// Keys and values: storage/FORMAT.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warren::storage {

enum class Family : std::uint8_t {
  meta,           // the store about itself (RocksDB's `default`)
  definitions,    // vhosts, users, exchanges, queues, bindings
  queue_log,      // chunks of messages: written once, deleted once
  queue_acks,     // settled entries of chunks that are not wholly settled
  queue_state,    // one small checkpoint per log
  spill,          // transient messages paged out: never synced, emptied at open
  queue_due,      // messages with a time of their own, by log and time
  queue_returns,  // how often a message came back, for the ones that did and are counted
  queue_shared,   // which chunk refers to which bodies: written once, deleted once
  bodies,         // messages that several logs refer to: written once, deleted once
  body_counts,    // how many references each of them has
};

inline constexpr std::size_t kFamilyCount = 11;

inline constexpr std::array<std::string_view, kFamilyCount> kFamilyNames = {
    "default",   "definitions",   "queue_log",    "queue_acks", "queue_state", "spill",
    "queue_due", "queue_returns", "queue_shared", "bodies",     "body_counts"};

constexpr std::size_t family_index(Family family) {
  return static_cast<std::size_t>(family);
}

}  // namespace warren::storage
