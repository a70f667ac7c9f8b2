// SPDX-License-Identifier: Apache-2.0
// When is the disk too full to take messages? Raised below the limit, cleared a step above it, so
// that it does not flicker.
#pragma once

#include <algorithm>
#include <cstdint>

#include "storage/base/units.h"

namespace warren::broker {

class DiskAlarm {
 public:
  // 0: never raised.
  explicit DiskAlarm(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

  std::uint64_t limit() const { return limit_; }
  std::uint64_t clear_above() const { return limit_ + std::min<std::uint64_t>(limit_ / 4, 64_MiB); }
  bool raised() const { return raised_; }
  // True: raised() has changed.
  bool update(std::uint64_t free_bytes) {
    const bool was = raised_;
    raised_ = free_bytes < limit_ || (was && free_bytes < clear_above());
    return raised_ != was;
  }

 private:
  std::uint64_t limit_;
  bool raised_ = false;
};

}  // namespace warren::broker
