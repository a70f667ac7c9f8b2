// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace warren::perf {

std::size_t LatencyHistogram::bucket_of(std::uint64_t value) {
  value = std::min<std::uint64_t>(value, UINT32_MAX);
  if (value < kSubBuckets) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
  return (shift + 1) * kSubBuckets + (value >> shift) - kSubBuckets;
}

std::uint64_t LatencyHistogram::upper_end(std::size_t bucket) {
  if (bucket < kSubBuckets) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket / kSubBuckets) - 1;
  return ((bucket % kSubBuckets + kSubBuckets + 1) << shift) - 1;
}

void LatencyHistogram::add(std::uint64_t microseconds, std::uint64_t times) {
  buckets_[bucket_of(microseconds)] += times;
  count_ += times;
  max_ = std::max(max_, microseconds);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

LatencyHistogram LatencyHistogram::since(const LatencyHistogram& earlier) const {
  LatencyHistogram out;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    out.buckets_[i] = buckets_[i] - earlier.buckets_[i];
    if (out.buckets_[i] != 0) out.max_ = std::min(upper_end(i), max_);
  }
  out.count_ = count_ - earlier.count_;
  return out;
}

std::uint64_t LatencyHistogram::percentile(double share) const {
  // Not one more for what a product of doubles is off.
  const double rank = std::ceil(share * static_cast<double>(count_) * (1 - 1e-12));
  const auto wanted = static_cast<std::uint64_t>(rank);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets && count_ != 0; ++i) {
    seen += buckets_[i];
    if (seen >= std::max<std::uint64_t>(wanted, 1)) return std::min(upper_end(i), max_);
  }
  return 0;
}

}  // namespace warren::perf
