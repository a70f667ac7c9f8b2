// SPDX-License-Identifier: Apache-2.0
// The promise that after a crash no message comes back unflagged that was delivered before: a
// durable mark that no delivered seq ever exceeds. Raised in steps, so that it costs a sync per few
// thousand deliveries; where deliveries outrun the commits, the steps grow, so that a deep queue is
// drained at the speed of its consumers and not at kStep per fsync. Pure. Keeps: S14.
#pragma once

#include <algorithm>

#include "storage/base/ids.h"

namespace warren::storage {

class DeliveredMark {
 public:
  static constexpr Seq kStep = 4096;
  // What a crash may flag without need, at the most.
  static constexpr Seq kStepMax = 262'144;

  // `recovered`: everything up to it may have been delivered.
  explicit DeliveredMark(Seq recovered)
      : delivered_(recovered), handed_over_(recovered), durable_(recovered) {}

  bool covers(Seq seq) const { return seq <= durable_; }

  void delivered(Seq seq) {
    delivered_ = std::max(delivered_, seq);
    delivering_ = true;
  }

  // Asks the next hand-over for a mark above `seq`.
  void request(Seq seq) { requested_ = std::max(requested_, seq + step_); }

  // A delivery had to wait for the mark: the steps are too short for this consumer.
  void too_slow() {
    if (requested_ <= handed_over_) step_ = std::min(step_ * 2, kStepMax);
  }

  // True when deliveries come near the mark and `last_stored` lies beyond it.
  bool wants_more(Seq last_stored) const {
    const Seq top = std::max(requested_, handed_over_);
    return delivered_ + step_ / 2 > top && last_stored > top;
  }

  // The mark that this hand-over writes; `last_stored` includes what it appends.
  Seq hand_over(Seq last_stored) {
    Seq mark = std::max({handed_over_, requested_, delivered_});
    // A consumer that keeps up: what is stored now will be delivered in a moment.
    if (delivering_ && last_stored <= delivered_ + kStep) {
      const Seq reach = std::max(delivered_, last_stored);
      if (reach + kStep / 2 > mark) mark = reach + kStep;
      step_ = kStep;
    }
    handed_over_ = mark;
    return mark;
  }

  void committed(Seq mark) { durable_ = std::max(durable_, mark); }

  // The highest seq that may have been delivered.
  Seq exact() const { return delivered_; }
  Seq durable() const { return durable_; }
  Seq handed_over() const { return handed_over_; }

 private:
  Seq delivered_;
  Seq requested_ = 0;
  Seq step_ = kStep;
  Seq handed_over_;
  Seq durable_;
  bool delivering_ = false;
};

}  // namespace warren::storage
