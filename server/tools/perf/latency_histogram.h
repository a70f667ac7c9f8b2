// SPDX-License-Identifier: Apache-2.0
// Counts durations in buckets whose width grows with the value: within 1.6 % of the truth from a
// microsecond to an hour, in a few kilobytes, mergeable.
#pragma once

#include <array>
#include <cstdint>

namespace warren::perf {

class LatencyHistogram {
 public:
  void add(std::uint64_t microseconds, std::uint64_t times = 1);
  void merge(const LatencyHistogram& other);
  // What was added since `earlier`, a copy of this one; its largest value is known to a bucket.
  LatencyHistogram since(const LatencyHistogram& earlier) const;
  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  // The value that `share` (0 to 1) of all lie at or below, in microseconds; 0 when empty.
  std::uint64_t percentile(double share) const;
  double percentile_ms(double share) const { return static_cast<double>(percentile(share)) / 1000; }
  double max_ms() const { return static_cast<double>(max_) / 1000; }

 private:
  static constexpr unsigned kSubBits = 6;  // 64 buckets per power of two
  static constexpr std::uint64_t kSubBuckets = std::uint64_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (32 - kSubBits + 1) * kSubBuckets;

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_end(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace warren::perf
