// SPDX-License-Identifier: Apache-2.0
// Percentiles are within a bucket of the truth, and parts add up to the whole.
#include "server/tools/perf/latency_histogram.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

constexpr double kShares[] = {0.01, 0.5, 0.9, 0.99, 0.999, 1.0};

TEST(LatencyHistogram, IsEmptyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.percentile(0.5), 0U);
  EXPECT_EQ(histogram.max(), 0U);
}

TEST(LatencyHistogram, PercentilesAreWithinABucketOfTheTruth) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(6, 2);
  LatencyHistogram histogram;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    all.push_back(static_cast<std::uint64_t>(latency(random)));
    histogram.add(all.back());
  }
  std::sort(all.begin(), all.end());
  for (const double share : kShares) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(all.size()));
    const auto truth = static_cast<double>(all[std::max<std::size_t>(rank, 1) - 1]);
    const auto told = static_cast<double>(histogram.percentile(share));
    EXPECT_GE(told, truth * 0.999) << share;
    EXPECT_LE(told, truth * 1.017 + 1) << share;
  }
  EXPECT_EQ(histogram.max(), all.back());
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (std::uint64_t value = 0; value < 100; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0.5), 49U);
  EXPECT_EQ(histogram.percentile(0.25), 24U);
}

// So much of all lies at or below it, and not a little less.
TEST(LatencyHistogram, PercentilesOfFewValuesAreNotTooLow) {
  LatencyHistogram histogram;
  for (std::uint64_t value = 1; value <= 11; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0.95), 11U);
  EXPECT_EQ(histogram.percentile(0.9), 10U);
  EXPECT_EQ(histogram.percentile(0.5), 6U);
  EXPECT_EQ(histogram.percentile(1), 11U);
}

TEST(LatencyHistogram, MergedPartsAreTheWhole) {
  std::mt19937_64 random(3);
  LatencyHistogram whole;
  LatencyHistogram parts[3];
  for (int i = 0; i < 30'000; ++i) {
    const std::uint64_t value = random() % 1'000'000;
    whole.add(value);
    parts[i % 3].add(value);
  }
  LatencyHistogram merged;
  for (const LatencyHistogram& part : parts) merged.merge(part);
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_EQ(merged.max(), whole.max());
  for (const double share : kShares) EXPECT_EQ(merged.percentile(share), whole.percentile(share));
}

// What the rows of a CSV are made of: only what came in their second.
TEST(LatencyHistogram, SinceSeesOnlyWhatWasAddedLater) {
  LatencyHistogram histogram;
  histogram.add(1'000'000, 5);
  const LatencyHistogram earlier = histogram;
  histogram.add(100, 99);
  histogram.add(20'000);
  const LatencyHistogram later = histogram.since(earlier);
  EXPECT_EQ(later.count(), 100U);
  EXPECT_EQ(later.percentile(0.5), 100U);
  EXPECT_NEAR(static_cast<double>(later.max()), 20'000, 400);
}

TEST(LatencyHistogram, HoldsValuesBeyondItsLastBucket) {
  LatencyHistogram histogram;
  histogram.add(std::uint64_t{1} << 40);
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.max(), std::uint64_t{1} << 40);
  EXPECT_GT(histogram.percentile(0.5), 4'000'000'000U);
}

}  // namespace
}  // namespace warren::perf
