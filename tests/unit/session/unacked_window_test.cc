// SPDX-License-Identifier: Apache-2.0
// P4: tags are dense from 1; which ones a settlement takes.
#include "server/session/unacked_window.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace warren::session {
namespace {

UnackedDelivery delivery(Seq seq) {
  return {broker::QueueId(1), seq, 1, 0};
}

// "ok 1 2": what was settled; "unknown": the tag was not outstanding.
std::string settle(UnackedWindow& window, std::uint64_t tag, bool multiple) {
  std::vector<UnackedDelivery> out;
  if (!window.settle(tag, multiple, out)) return "unknown";
  std::string text = "ok";
  for (const UnackedDelivery& one : out) text += fmt::format(" {}", one.place);
  return text;
}

TEST(UnackedWindow, TagsAreDenseOverAcknowledgedAndNot) {
  UnackedWindow window;
  EXPECT_EQ(window.add(delivery(1)), 1U);
  EXPECT_EQ(window.skip(), 2U);
  EXPECT_EQ(window.add(delivery(2)), 3U);
  EXPECT_EQ(settle(window, 2, false), "unknown");
  EXPECT_EQ(settle(window, 3, true), "ok 1 2");
  EXPECT_EQ(window.skip(), 4U);
  EXPECT_EQ(window.outstanding(), 0U);
}

TEST(UnackedWindow, MultipleNeedsTheTagItselfOutstanding) {
  UnackedWindow window;
  for (Seq seq = 1; seq <= 4; ++seq) window.add(delivery(seq));
  EXPECT_EQ(settle(window, 3, false), "ok 3");
  EXPECT_EQ(settle(window, 3, true), "unknown");
  EXPECT_EQ(settle(window, 4, true), "ok 1 2 4");
  EXPECT_EQ(settle(window, 4, true), "unknown");
}

TEST(UnackedWindow, ZeroMeansAllWithMultipleOnly) {
  UnackedWindow window;
  EXPECT_EQ(settle(window, 0, true), "ok");
  window.add(delivery(1));
  window.add(delivery(2));
  EXPECT_EQ(settle(window, 0, false), "unknown");
  EXPECT_EQ(settle(window, 0, true), "ok 1 2");
  EXPECT_EQ(window.add(delivery(3)), 3U);
}

TEST(UnackedWindow, UnknownTags) {
  UnackedWindow window;
  EXPECT_EQ(settle(window, 1, false), "unknown");
  window.add(delivery(1));
  EXPECT_EQ(settle(window, 2, false), "unknown");
  EXPECT_EQ(settle(window, 1, false), "ok 1");
  EXPECT_EQ(settle(window, 1, false), "unknown");
}

// One delivery that is held for long must not make the window keep all that came after it.
TEST(UnackedWindow, MemoryFollowsWhatIsOutstanding) {
  UnackedWindow window;
  window.add(delivery(1));
  for (Seq seq = 2; seq <= 100'000; ++seq) {
    const std::uint64_t tag = window.add(delivery(seq));
    window.skip();
    EXPECT_EQ(settle(window, tag, false), fmt::format("ok {}", seq));
    ASSERT_LE(window.held(), 200U);
  }
  EXPECT_EQ(settle(window, 1, false), "ok 1");
  EXPECT_EQ(window.held(), 0U);
}

}  // namespace
}  // namespace warren::session
