// SPDX-License-Identifier: Apache-2.0
// The deliveries of one channel that have not been settled yet. Tags are dense from 1 over deliver
// and get together, never reused (P4); settling with multiple=true releases a range.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "server/broker/broker_ids.h"

namespace warren::session {

struct UnackedDelivery {
  broker::QueueId queue;
  Seq seq = 0;
  broker::ConsumerNumber consumer = 0;  // 0: basic.get
  ShardIndex home = 0;
  bool settled = false;  // settled, or never to be acknowledged
};

// Runs on: the channel's shard. Owned by: Channel. Bound: prefetch, when the client sets one.
class UnackedWindow {
 public:
  // Returns the delivery's tag.
  std::uint64_t add(const UnackedDelivery& delivery);
  // A delivery that needs no acknowledgement: it takes a tag and nothing else.
  std::uint64_t skip();

  // Moves what the tag settles to `out`, oldest first. False: the tag is not outstanding. Tag 0
  // with multiple settles everything; with multiple, the tag itself must be outstanding
  // (compatibility: rule 43).
  bool settle(std::uint64_t tag, bool multiple, std::vector<UnackedDelivery>& out);
  // Everything outstanding, oldest first.
  void take_all(std::vector<UnackedDelivery>& out);
  std::size_t outstanding() const { return outstanding_; }

 private:
  void trim();

  std::deque<UnackedDelivery> window_;
  std::uint64_t base_ = 1;  // tag of window_.front()
  std::size_t outstanding_ = 0;
};

}  // namespace warren::session
