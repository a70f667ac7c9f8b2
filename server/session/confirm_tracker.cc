// SPDX-License-Identifier: Apache-2.0
#include "server/session/confirm_tracker.h"

#include "storage/base/assert.h"

namespace warren::session {

void ConfirmTracker::add(std::uint32_t pending) {
  WARREN_ASSERT(pending != kAnswered);
  window_.push_back(pending);
  if (pending == 0 && window_.size() > 1) early_.push_back(next_seq() - 1);
}

void ConfirmTracker::confirm(std::uint64_t seq) {
  WARREN_INVARIANT(P5, seq >= base_ && seq < next_seq());
  std::uint32_t& pending = window_[seq - base_];
  WARREN_INVARIANT(P5, pending != 0 && pending != kAnswered);
  if (--pending == 0 && seq != base_) early_.push_back(seq);
}

}  // namespace warren::session
