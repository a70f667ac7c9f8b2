// SPDX-License-Identifier: Apache-2.0
// S14: the durable mark never understates what was delivered, and does not overstate it by much.
#include "storage/engine/delivered_mark.h"

#include <random>

#include <gtest/gtest.h>

namespace warren::storage {
namespace {

TEST(DeliveredMark, FreshLogHasNone) {
  DeliveredMark mark(0);
  EXPECT_FALSE(mark.covers(1));
  EXPECT_EQ(mark.hand_over(100), 0u);
}

TEST(DeliveredMark, RequestIsGrantedByTheNextCommit) {
  DeliveredMark mark(0);
  mark.request(10);
  const Seq granted = mark.hand_over(100);
  EXPECT_EQ(granted, 10 + DeliveredMark::kStep);
  EXPECT_FALSE(mark.covers(10));
  mark.committed(granted);
  EXPECT_TRUE(mark.covers(10));
}

TEST(DeliveredMark, DeliveredWhileOpenIsInTheSameCommit) {
  DeliveredMark mark(0);
  mark.delivered(7);
  EXPECT_GE(mark.hand_over(7), 7u);
}

// A consumer at the tail never waits: each commit raises the mark ahead of what it appends.
TEST(DeliveredMark, KeepsAheadOfAConsumerAtTheTail) {
  DeliveredMark mark(0);
  mark.delivered(1);
  for (Seq tail = 100; tail < 100'000; tail += 100) {
    const Seq granted = mark.hand_over(tail);
    mark.committed(granted);
    EXPECT_TRUE(mark.covers(tail));
    EXPECT_LE(granted, tail + DeliveredMark::kStep);
    mark.delivered(tail);
  }
}

// A deep backlog is not flagged as a whole because its first messages were delivered.
TEST(DeliveredMark, DoesNotReachOverABacklog) {
  DeliveredMark mark(0);
  mark.delivered(1);
  EXPECT_LE(mark.hand_over(1'000'000), 1 + DeliveredMark::kStep);
}

TEST(DeliveredMark, AsksForMoreInTime) {
  DeliveredMark mark(0);
  mark.request(1);
  mark.committed(mark.hand_over(1'000'000));
  Seq asked = 0;
  for (Seq seq = 1; seq <= mark.durable(); ++seq) {
    mark.delivered(seq);
    if (asked == 0 && mark.wants_more(1'000'000)) {
      asked = seq;
      mark.request(seq);
    }
  }
  EXPECT_NE(asked, 0u);
  EXPECT_FALSE(mark.wants_more(1'000'000)) << "asked once";
  EXPECT_GE(mark.durable() - asked, DeliveredMark::kStep / 2 - 2);
}

// Deliveries that had to wait make the steps longer, up to a bound; a consumer that has caught up
// goes back to short ones.
TEST(DeliveredMark, StepsGrowWhereDeliveriesWait) {
  constexpr Seq kBacklog = 10'000'000;
  DeliveredMark mark(0);
  Seq at = 1;
  Seq longest = 0;
  for (int round = 0; round < 12; ++round) {
    mark.too_slow();
    mark.request(at);
    const Seq granted = mark.hand_over(kBacklog);
    mark.committed(granted);
    longest = granted - at;
    EXPECT_LE(longest, DeliveredMark::kStepMax);
    mark.delivered(granted);
    at = granted + 1;
  }
  EXPECT_EQ(longest, DeliveredMark::kStepMax);
  mark.delivered(kBacklog);
  const Seq granted = mark.hand_over(kBacklog + 1);
  mark.committed(granted);
  EXPECT_LE(granted, kBacklog + 1 + DeliveredMark::kStep);
}

// A delivery refused again while its request is on its way does not count twice.
TEST(DeliveredMark, OneWaitLengthensTheStepOnce) {
  DeliveredMark mark(0);
  for (int i = 0; i < 5; ++i) {
    mark.too_slow();
    mark.request(1);
  }
  EXPECT_EQ(mark.hand_over(1'000'000), 1 + 2 * DeliveredMark::kStep);
}

TEST(DeliveredMark, RecoveredOneCountsAsDelivered) {
  DeliveredMark mark(500);
  EXPECT_TRUE(mark.covers(500));
  EXPECT_EQ(mark.exact(), 500u);
  EXPECT_GE(mark.hand_over(1000), 500u);
}

TEST(DeliveredMark, NeverUnderstates) {
  std::mt19937_64 random(5);
  DeliveredMark mark(0);
  Seq tail = 0;
  Seq delivered = 0;
  Seq on_disk = 0;
  Seq in_flight = 0;
  Seq tail_in_flight = 0;
  for (int step = 0; step < 100'000; ++step) {
    switch (random() % 4) {
      case 0:
        tail += random() % 200;
        break;
      case 1: {
        // Only what may_deliver would allow: covered, or not handed over yet.
        const Seq next = delivered + 1 + random() % 50;
        if (next > tail || (!mark.covers(next) && next <= tail_in_flight)) {
          if (next <= tail) mark.request(next);
          break;
        }
        delivered = next;
        mark.delivered(next);
        break;
      }
      case 2:
        in_flight = mark.hand_over(tail);
        tail_in_flight = tail;
        ASSERT_GE(in_flight, delivered);
        break;
      case 3:
        mark.committed(in_flight);
        on_disk = in_flight;
        break;
    }
    // What is on disk covers every delivered message that is on disk.
    ASSERT_TRUE(delivered <= on_disk || delivered > tail_in_flight || in_flight >= delivered);
  }
  EXPECT_GT(delivered, 10'000u);
}

}  // namespace
}  // namespace warren::storage
