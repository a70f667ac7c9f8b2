// SPDX-License-Identifier: Apache-2.0
// Every publish is answered once, in any order; all else is an error of the broker.
#include "server/tools/perf/confirm_window.h"

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

TEST(ConfirmWindow, HasRoomForItsSize) {
  ConfirmWindow window(3);
  for (std::uint64_t room = 3; room > 0; --room) {
    EXPECT_EQ(window.room(), room);
    window.open(0);
  }
  EXPECT_EQ(window.room(), 0U);
}

// The ring holds the tags from the oldest open one on.
TEST(ConfirmWindow, GivesRoomBackFromTheOldestOn) {
  ConfirmWindow window(3);
  std::uint64_t settled = 0;
  for (int i = 0; i < 3; ++i) window.open(0);
  EXPECT_EQ(window.settle(2, false, 0, nullptr, settled), "");
  EXPECT_EQ(settled, 1U);
  EXPECT_EQ(window.room(), 0U);
  EXPECT_EQ(window.settle(1, false, 0, nullptr, settled), "");
  EXPECT_EQ(window.room(), 2U);
}

TEST(ConfirmWindow, MultipleSettlesWhatIsOpenBelow) {
  ConfirmWindow window(10);
  LatencyHistogram latency;
  std::uint64_t settled = 0;
  for (std::uint64_t i = 0; i < 5; ++i) window.open(100 + i);
  EXPECT_EQ(window.settle(2, false, 110, &latency, settled), "");
  EXPECT_EQ(window.settle(4, true, 150, &latency, settled), "");
  EXPECT_EQ(settled, 3U);
  EXPECT_EQ(latency.count(), 4U);
  EXPECT_EQ(latency.max(), 50U);
  EXPECT_EQ(window.room(), 9U);
}

TEST(ConfirmWindow, FindsWrongAnswers) {
  ConfirmWindow window(10);
  std::uint64_t settled = 0;
  window.open(0);
  window.open(0);
  EXPECT_NE(window.settle(0, true, 0, nullptr, settled), "");
  EXPECT_NE(window.settle(3, false, 0, nullptr, settled), "");
  EXPECT_EQ(window.settle(2, false, 0, nullptr, settled), "");
  EXPECT_NE(window.settle(2, false, 0, nullptr, settled), "");
  EXPECT_EQ(settled, 0U);
  EXPECT_EQ(window.settle(1, false, 0, nullptr, settled), "");
  EXPECT_NE(window.settle(1, false, 0, nullptr, settled), "");
}

TEST(ConfirmWindow, GoesRoundItsRing) {
  ConfirmWindow window(4);
  std::uint64_t settled = 0;
  for (std::uint64_t tag = 1; tag <= 1000; ++tag) {
    window.open(0);
    if (tag % 4 == 0) {
      EXPECT_EQ(window.settle(tag, true, 0, nullptr, settled), "");
      EXPECT_EQ(settled, 4U);
      EXPECT_EQ(window.room(), 4U);
    }
  }
}

}  // namespace
}  // namespace warren::perf
