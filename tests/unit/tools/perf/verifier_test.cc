// SPDX-License-Identifier: Apache-2.0
// The verifier passes what AMQP allows, and finds every planted loss, duplicate and reorder.
#include "server/tools/perf/verifier.h"

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

constexpr std::uint32_t kQueue = 0;

Stamp stamp(std::uint64_t number, std::uint32_t stream = 0) {
  return {.at_us = 1, .stream = stream, .number = number};
}

Verdict judge(const Verifier& one, const std::vector<std::uint64_t>& published) {
  return Verifier::judge({&one}, published);
}

// 1 to 200, and what the case does to them.
class Planted : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kCount = 200;

  void see_all_but(std::uint64_t left_out) {
    for (std::uint64_t n = 1; n <= kCount; ++n) {
      if (n != left_out) verifier_.see(kQueue, stamp(n), false);
    }
  }
  Verifier verifier_;
};

TEST_F(Planted, NothingIsSound) {
  see_all_but(0);
  const Verdict verdict = judge(verifier_, {kCount});
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.checked, kCount);
}

TEST_F(Planted, LossIsFound) {
  for (const std::uint64_t missing : {std::uint64_t{1}, std::uint64_t{64}, kCount}) {
    verifier_ = Verifier();
    see_all_but(missing);
    const Verdict verdict = judge(verifier_, {kCount});
    EXPECT_FALSE(verdict.ok());
    EXPECT_EQ(verdict.lost, 1U) << missing;
    EXPECT_EQ(verdict.reordered, 0U);
  }
}

TEST_F(Planted, AStreamThatNeverArrivedIsLost) {
  see_all_but(0);
  const Verdict verdict = judge(verifier_, {kCount, 17});
  EXPECT_EQ(verdict.lost, 17U);
}

TEST_F(Planted, ADuplicateIsFound) {
  see_all_but(0);
  verifier_.see(kQueue, stamp(100), false);
  const Verdict verdict = judge(verifier_, {kCount});
  EXPECT_EQ(verdict.duplicated, 1U);
  EXPECT_EQ(verdict.lost, 0U);
  EXPECT_EQ(verdict.reordered, 0U);
}

TEST_F(Planted, ARepeatWithTheFlagIsAllowed) {
  see_all_but(0);
  verifier_.see(kQueue, stamp(100), true);
  const Verdict verdict = judge(verifier_, {kCount});
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.repeated, 1U);
}

TEST_F(Planted, AReorderIsFound) {
  see_all_but(100);
  verifier_.see(kQueue, stamp(100), false);
  const Verdict verdict = judge(verifier_, {kCount});
  EXPECT_EQ(verdict.reordered, 1U);
  EXPECT_EQ(verdict.lost, 0U);
  EXPECT_EQ(verdict.duplicated, 0U);
}

TEST_F(Planted, ARequeuedMessageMayComeLate) {
  see_all_but(100);
  verifier_.see(kQueue, stamp(100), true);
  EXPECT_TRUE(judge(verifier_, {kCount}).ok());
}

TEST_F(Planted, DamageIsFound) {
  see_all_but(0);
  verifier_.see_damaged();
  verifier_.see(kQueue, stamp(0), false);
  verifier_.see(kQueue, stamp(NumberSet::kNumberMax + 1), false);
  EXPECT_EQ(judge(verifier_, {kCount}).damaged, 3U);
}

TEST_F(Planted, ANumberThatNobodySentIsDamage) {
  see_all_but(0);
  EXPECT_EQ(judge(verifier_, {kCount - 1}).damaged, 1U);
}

TEST_F(Planted, WithoutCountsGapsAreLosses) {
  for (const std::uint64_t n : {10, 11, 13, 16}) verifier_.see(kQueue, stamp(n), false);
  const Verdict verdict = judge(verifier_, {});
  EXPECT_EQ(verdict.lost, 3U);
}

TEST(Verifier, CompetingConsumersSeeAllTogether) {
  Verifier odd;
  Verifier even;
  for (std::uint64_t n = 1; n <= 100; ++n) (n % 2 == 0 ? even : odd).see(kQueue, stamp(n), false);
  EXPECT_TRUE(Verifier::judge({&odd, &even}, {100}).ok());
  EXPECT_EQ(Verifier::judge({&odd}, {100}).lost, 50U);
}

TEST(Verifier, ADuplicateAtAnotherConsumerIsFound) {
  Verifier one;
  Verifier other;
  for (std::uint64_t n = 1; n <= 100; ++n) one.see(kQueue, stamp(n), false);
  other.see(kQueue, stamp(50), false);
  other.see(kQueue, stamp(60), true);  // the first one died with it
  const Verdict verdict = Verifier::judge({&one, &other}, {100});
  EXPECT_EQ(verdict.duplicated, 1U);
}

TEST(Verifier, AMessageInTwoQueuesIsNoDuplicate) {
  Verifier verifier;
  for (std::uint32_t queue : {0U, 1U}) {
    for (std::uint64_t n = 1; n <= 10; ++n) verifier.see(queue, stamp(n), false);
  }
  EXPECT_TRUE(judge(verifier, {10}).ok());
}

TEST(Verifier, StreamsAreOrderedEachForItself) {
  Verifier verifier;
  for (std::uint64_t n = 1; n <= 10; ++n) {
    verifier.see(kQueue, stamp(n, 1), false);
    verifier.see(kQueue, stamp(n, 0), false);
  }
  EXPECT_TRUE(judge(verifier, {10, 10}).ok());
}

TEST(NumberSet, KnowsItsEnds) {
  NumberSet set;
  EXPECT_EQ(set.smallest(), 0U);
  EXPECT_EQ(set.largest(), 0U);
  EXPECT_TRUE(set.add(64));
  EXPECT_FALSE(set.add(64));
  EXPECT_TRUE(set.add(1000));
  EXPECT_TRUE(set.contains(1000));
  EXPECT_FALSE(set.contains(999));
  EXPECT_EQ(set.smallest(), 64U);
  EXPECT_EQ(set.largest(), 1000U);
  EXPECT_EQ(set.count(), 2U);
}

TEST(Stamp, ComesBackAsItWasStored) {
  char bytes[kStampBytes];
  const Stamp stored{.at_us = 123'456'789, .stream = kStreamsMax - 1, .number = 987'654'321};
  store_stamp(bytes, stored);
  const Stamp loaded = load_stamp(bytes);
  EXPECT_EQ(loaded.at_us, stored.at_us);
  EXPECT_EQ(loaded.stream, stored.stream);
  EXPECT_EQ(loaded.number, stored.number);
}

}  // namespace
}  // namespace warren::perf
