// SPDX-License-Identifier: Apache-2.0
// Time under the test's control.
#pragma once

#include "storage/base/clock.h"

namespace warren::test {

class ManualClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  std::int64_t wall_ms() const override { return wall_ms_; }

  void advance(Duration by) {
    now_ += by;
    wall_ms_ += std::chrono::duration_cast<std::chrono::milliseconds>(by).count();
  }

 private:
  Instant now_ = Instant{} + std::chrono::hours(1);
  std::int64_t wall_ms_ = 1'700'000'000'000;
};

}  // namespace warren::test
