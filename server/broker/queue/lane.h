// SPDX-License-Identifier: Apache-2.0
// One priority of a queue: its ready messages, the log that keeps them, and which of them expire
// before their turn. A queue without priorities has one lane.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "storage/engine/queue_log.h"

#include "server/broker/queue/expiry_index.h"
#include "server/broker/queue/ready_store.h"

namespace warren::broker {

// Runs on: its queue's shard. Owned by: Queue.
struct Lane {
  Lane(LogId log_id, std::size_t lane_index, std::uint64_t window_bytes)
      : id(log_id), index(lane_index), ready(window_bytes) {}

  LogId id;
  std::size_t index;
  storage::QueueLog* log = nullptr;  // opened at its first use
  Seq next_seq = 1;
  Seq recovered_mark = 0;  // what is not above may have been delivered before the restart (B4)
  Seq recovered_next = 1;  // what is below is of a time before this process
  bool reading = false;
  ReadyStore ready;
  ExpiryIndex expiry;
  // Expired messages that lie in the gap: to be fetched, and being fetched.
  std::vector<storage::DueEntry> expired;
  std::vector<storage::DueEntry> expired_in_tail;
  bool fetching = false;
  bool refilling = false;  // the expiry index
  // Why the last read of each kind failed; empty: it did not. The log is told once.
  std::string read_failure;
  std::string fetch_failure;
  std::string refill_failure;
  // Taken out, and not let go yet: the disk still has them, and reads may bring them again.
  boost::unordered_flat_set<Seq> leaving;
  bool is_settled() const { return !reading && !fetching && leaving.empty(); }
};

}  // namespace warren::broker
