// SPDX-License-Identifier: Apache-2.0
#include "server/session/confirm_tracker.h"

#include "storage/base/assert.h"

namespace warren::session {

void ConfirmTracker::add(std::uint32_t pending) {
  window_.push_back(Publish{pending, false, false});
  if (pending == 0 && window_.size() > 1) early_.push_back(next_seq() - 1);
}

void ConfirmTracker::answer(std::uint64_t seq, bool refused) {
  WARREN_INVARIANT(P5, seq >= base_ && seq < next_seq());
  Publish& publish = window_[seq - base_];
  WARREN_INVARIANT(P5, publish.pending > 0 && !publish.answered);
  publish.refused = publish.refused || refused;
  if (--publish.pending == 0 && seq != base_) early_.push_back(seq);
}

}  // namespace warren::session
