// SPDX-License-Identifier: Apache-2.0
// P5: every publish is answered exactly once, what is complete without a gap as one answer.
#include "server/session/confirm_tracker.h"

#include <random>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace warren::session {
namespace {

// "3m 4n 5": up to 3 with multiple, then 4 refused, then 5 alone.
std::string flushed(ConfirmTracker& tracker) {
  std::string text;
  tracker.flush([&text](std::uint64_t seq, bool multiple, bool acked) {
    text +=
        fmt::format("{}{}{}", text.empty() ? "" : " ", seq, acked ? (multiple ? "m" : "") : "n");
  });
  return text;
}

TEST(ConfirmTracker, AnAckNeverCoversARefusal) {
  ConfirmTracker tracker;
  for (int i = 0; i < 6; ++i) tracker.add(1);
  tracker.refuse(4);
  EXPECT_EQ(flushed(tracker), "4n");
  for (const std::uint64_t seq : {1, 2, 3, 5}) tracker.confirm(seq);
  EXPECT_EQ(flushed(tracker), "5m");
  tracker.refuse(6);
  EXPECT_EQ(flushed(tracker), "6n");
}

TEST(ConfirmTracker, ARefusalInTheMiddleSplitsTheAcks) {
  ConfirmTracker tracker;
  for (int i = 0; i < 5; ++i) tracker.add(1);
  for (const std::uint64_t seq : {2, 1}) tracker.confirm(seq);
  tracker.refuse(3);
  for (const std::uint64_t seq : {5, 4}) tracker.confirm(seq);
  EXPECT_EQ(flushed(tracker), "2m 3n 5m");
}

// Refused by one queue, taken by the other: a nack, and once.
TEST(ConfirmTracker, OneRefusalOfSeveralQueuesIsANack) {
  ConfirmTracker tracker;
  tracker.add(2);
  tracker.refuse(1);
  EXPECT_EQ(flushed(tracker), "");
  tracker.confirm(1);
  EXPECT_EQ(flushed(tracker), "1n");
  EXPECT_EQ(flushed(tracker), "");
}

TEST(ConfirmTracker, CoalescesWhatIsCompleteFromTheFront) {
  ConfirmTracker tracker;
  for (int i = 0; i < 5; ++i) tracker.add(1);
  tracker.confirm(2);
  EXPECT_EQ(flushed(tracker), "2");
  tracker.confirm(1);
  tracker.confirm(3);
  EXPECT_EQ(flushed(tracker), "3m");
  tracker.confirm(5);
  tracker.confirm(4);
  EXPECT_EQ(flushed(tracker), "5m");
  EXPECT_EQ(tracker.unconfirmed(), 0U);
  EXPECT_EQ(tracker.next_seq(), 6U);
}

TEST(ConfirmTracker, WaitsForEveryQueueOfAFanOut) {
  ConfirmTracker tracker;
  tracker.add(3);
  tracker.confirm(1);
  tracker.confirm(1);
  EXPECT_EQ(flushed(tracker), "");
  tracker.confirm(1);
  EXPECT_EQ(flushed(tracker), "1");
}

TEST(ConfirmTracker, NothingToWaitForIsConfirmedAtOnce) {
  ConfirmTracker tracker;
  tracker.add(0);
  EXPECT_EQ(flushed(tracker), "1");
  tracker.add(1);
  tracker.add(0);
  EXPECT_EQ(flushed(tracker), "3");
  tracker.confirm(2);
  EXPECT_EQ(flushed(tracker), "2");
}

// An answer never names a publish that was answered before, a nacked one least of all.
TEST(ConfirmTracker, NamesWhatItAnswers) {
  ConfirmTracker tracker;
  for (int i = 0; i < 4; ++i) tracker.add(1);
  tracker.refuse(2);
  tracker.confirm(4);
  EXPECT_EQ(flushed(tracker), "2n 4");
  tracker.confirm(1);
  EXPECT_EQ(flushed(tracker), "1");
  tracker.confirm(3);
  EXPECT_EQ(flushed(tracker), "3");
  EXPECT_EQ(tracker.unconfirmed(), 0U);
}

TEST(ConfirmTracker, AnswersEachExactlyOnceInAnyOrder) {
  std::mt19937 random(3);
  ConfirmTracker tracker;
  std::multiset<std::uint64_t> waiting;
  std::set<std::uint64_t> open;
  for (int round = 0; round < 20'000; ++round) {
    if (random() % 2 == 0) {
      const auto pending = static_cast<std::uint32_t>(random() % 3);
      const std::uint64_t seq = tracker.next_seq();
      tracker.add(pending);
      open.insert(seq);
      for (std::uint32_t i = 0; i < pending; ++i) waiting.insert(seq);
    } else if (!waiting.empty()) {
      const auto at = std::next(waiting.begin(), static_cast<long>(random() % waiting.size() % 50));
      tracker.confirm(*at);
      waiting.erase(at);
    }
    if (random() % 4 != 0) continue;
    tracker.flush([&](std::uint64_t seq, bool multiple, bool) {
      if (multiple) {
        EXPECT_EQ(waiting.lower_bound(1) == waiting.end() || *waiting.begin() > seq, true);
        open.erase(open.begin(), open.upper_bound(seq));
      } else {
        EXPECT_FALSE(waiting.contains(seq));
        EXPECT_EQ(open.erase(seq), 1U) << "answered twice: " << seq;
      }
    });
    for (const std::uint64_t seq : open) ASSERT_TRUE(waiting.contains(seq)) << "forgotten: " << seq;
  }
}

}  // namespace
}  // namespace warren::session
