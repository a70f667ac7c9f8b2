// SPDX-License-Identifier: Apache-2.0
// How large bodies are: one size, a range, or sizes with weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"

namespace warren::perf {

inline constexpr std::uint32_t kBodyBytesMax = 512U << 20;

// Small and fast; the same seed gives the same sequence.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15 + 1) {}
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_;
};

// "1024", "4KiB", "16-4096" (each as likely), "16:50,1024:30,64KiB:20" (size:weight).
Result<std::uint32_t> parse_bytes(std::string_view text);

class BodySizes {
 public:
  static Result<BodySizes> parse(std::string_view text);

  BodySizes() : BodySizes(16) {}
  explicit BodySizes(std::uint32_t bytes) : parts_{{bytes, bytes, 1}}, weights_(1) {}

  std::uint32_t next(Random& random) const {
    if (parts_.size() == 1 && parts_[0].from == parts_[0].to) return parts_[0].from;
    return pick(random);
  }
  std::uint32_t smallest() const;
  std::uint32_t largest() const;
  double mean() const;
  // As a person reads it: "1024 B", "16-4096 B".
  std::string text() const;

 private:
  struct Part {
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    std::uint64_t weight = 1;
  };

  std::uint32_t pick(Random& random) const;

  std::vector<Part> parts_;
  std::uint64_t weights_ = 0;  // sum
};

}  // namespace warren::perf
