// SPDX-License-Identifier: Apache-2.0
// The schedule of a rate: even, exact in the long run, and deaf to whoever is late.
#include "server/tools/perf/pacer.h"

#include <gmock/gmock.h>

#include "server/tools/perf/latency_histogram.h"

namespace warren::perf {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Pacer, IsUnlimitedByDefault) {
  EXPECT_FALSE(Pacer().limited());
  EXPECT_TRUE(Pacer(1, 0).limited());
}

TEST(Pacer, DueAndDueAtAgree) {
  for (const double rate : {0.3, 1.0, 7.0, 999.0, 10'000.0, 33'333.0, 1e6}) {
    for (const double phase : {0.0, 0.4}) {
      const Pacer pacer(rate, phase);
      for (std::uint64_t n : {0U, 1U, 2U, 99U, 12'345U}) {
        const Duration at = pacer.due_at(n);
        EXPECT_GT(pacer.due(at), n) << rate;
        EXPECT_LE(pacer.due(at - Duration(1)), n) << rate;
      }
    }
  }
}

TEST(Pacer, KeepsTheRateInTheLongRun) {
  for (const double rate : {5.0, 5'000.0, 123'456.0}) {
    const Pacer pacer(rate, 0);
    const auto due = static_cast<double>(pacer.due(seconds(100)));
    EXPECT_NEAR(due, rate * 100, 1 + rate / 5'000) << rate;
  }
}

TEST(Pacer, PhaseDelaysTheFirstMessage) {
  const Pacer pacer(10, 0.5);
  EXPECT_EQ(pacer.due(milliseconds(49)), 0U);
  EXPECT_EQ(pacer.due(milliseconds(50)), 1U);
  EXPECT_EQ(pacer.due(milliseconds(150)), 2U);
}

TEST(Pacer, HighRatesAreDueInGroups) {
  const Pacer pacer(1e6, 0);
  EXPECT_EQ(pacer.due_at(1), microseconds(100));
  EXPECT_EQ(pacer.due_at(100), microseconds(100));
  EXPECT_EQ(pacer.due_at(101), microseconds(200));
}

// Coordinated omission: a generator that waits with the broker sees one slow message; measured from
// when they were due, all that the stall delayed are slow.
TEST(Pacer, AStallShowsInEveryMessageItDelayed) {
  const Pacer pacer(1000, 0);
  LatencyHistogram from_due;
  LatencyHistogram from_sent;
  std::uint64_t sent = 0;
  for (milliseconds elapsed{0}; elapsed <= milliseconds(2000); ++elapsed) {
    if (elapsed > milliseconds(500) && elapsed < milliseconds(1500)) continue;  // nothing gets out
    for (const std::uint64_t due = pacer.due(elapsed); sent < due; ++sent) {
      const Duration late = elapsed - pacer.due_at(sent);
      from_due.add(static_cast<std::uint64_t>(late / microseconds(1)));
      from_sent.add(0);
    }
  }
  EXPECT_EQ(from_due.count(), 2001U);
  EXPECT_EQ(from_sent.percentile(0.99), 0U);
  EXPECT_NEAR(from_due.percentile_ms(0.75), 500, 20);
  EXPECT_NEAR(from_due.percentile_ms(0.99), 980, 25);
}

}  // namespace
}  // namespace warren::perf
