// SPDX-License-Identifier: Apache-2.0
// When the n-th message of a rate is due. The schedule does not wait for anybody: what is sent late
// is measured from when it was due, so that a stall shows in every message it delayed and not only
// in the one that was on its way (coordinated omission).
#pragma once

#include <cstdint>

#include "storage/base/clock.h"

namespace warren::perf {

class Pacer {
 public:
  Pacer() = default;  // no limit
  // phase: 0 to 1, the part of an interval that the first message waits, so that many publishers
  // of one rate do not send at the same moment.
  Pacer(double per_second, double phase);

  bool limited() const { return per_second_ > 0; }
  // When message n (from 0) is due, from the start on. Above 10,000 a second messages are due in
  // groups, every 100 us: no timer is finer. REQUIRES: limited().
  Duration due_at(std::uint64_t n) const;
  // How many messages are due at `elapsed`. REQUIRES: limited().
  std::uint64_t due(Duration elapsed) const;

 private:
  double per_second_ = 0;
  double phase_ = 0;
};

}  // namespace warren::perf
