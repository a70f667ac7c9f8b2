// SPDX-License-Identifier: Apache-2.0
// Time comes from outside, so that tests and the simulator own it.
#pragma once

#include <chrono>
#include <cstdint>

namespace warren {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic: deadlines and intervals hang on this one only.
  virtual Instant now() const = 0;
  // Milliseconds since the Unix epoch: for timestamps that people and clients see.
  virtual std::int64_t wall_ms() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override { return std::chrono::steady_clock::now(); }
  std::int64_t wall_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace warren
