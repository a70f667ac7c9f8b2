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
  broker::Place place = 0;
  broker::ConsumerNumber consumer = 0;  // 0: basic.get
  ShardIndex home = 0;
  std::uint64_t tag = 0;  // the window's
};

// Runs on: the channel's shard. Owned by: Channel. Bound: twice what is outstanding, which the
// client's prefetch bounds.
class UnackedWindow {
 public:
  // Returns the delivery's tag.
  std::uint64_t add(const UnackedDelivery& delivery);
  // A delivery that needs no acknowledgement: it takes a tag and nothing else.
  std::uint64_t skip() { return next_tag_++; }

  // Moves what the tag settles to `out`, oldest first. False: the tag is not outstanding. Tag 0
  // with multiple settles everything; with multiple, the tag itself must be outstanding
  // (conformance rule 43).
  bool settle(std::uint64_t tag, bool multiple, std::vector<UnackedDelivery>& out);
  // Puts back what settle() gave: outstanding again, under the same tags.
  void restore(const std::vector<UnackedDelivery>& deliveries);
  // Everything outstanding, oldest first.
  void take_all(std::vector<UnackedDelivery>& out);
  std::size_t outstanding() const { return outstanding_; }
  // Entries held, settled ones among them.
  std::size_t held() const { return window_.size(); }

 private:
  struct Entry {
    bool settled = false;
    UnackedDelivery delivery;
    std::uint64_t tag() const { return delivery.tag; }
  };
  void take_front_to(std::size_t index, std::vector<UnackedDelivery>& out);
  void tidy();

  std::deque<Entry> window_;  // ascending tags; the first is not settled
  std::uint64_t next_tag_ = 1;
  std::size_t outstanding_ = 0;
};

}  // namespace warren::session
