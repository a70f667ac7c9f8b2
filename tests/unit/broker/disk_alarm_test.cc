// SPDX-License-Identifier: Apache-2.0
#include "server/broker/disk_alarm.h"

#include <gtest/gtest.h>

namespace warren::broker {
namespace {

TEST(DiskAlarm, IsRaisedBelowTheLimitAndClearedAStepAbove) {
  DiskAlarm alarm(100);
  EXPECT_FALSE(alarm.update(100));
  EXPECT_FALSE(alarm.raised());
  EXPECT_TRUE(alarm.update(99));
  EXPECT_TRUE(alarm.raised());
  for (const std::uint64_t free : {100, 110, 124, 0}) {
    EXPECT_FALSE(alarm.update(free)) << free;
    EXPECT_TRUE(alarm.raised());
  }
  EXPECT_TRUE(alarm.update(125));
  EXPECT_FALSE(alarm.raised());
  EXPECT_FALSE(alarm.update(101));
}

TEST(DiskAlarm, StepIsSmallForALargeLimitAndZeroIsOff) {
  DiskAlarm large(1_GiB * 100);
  EXPECT_TRUE(large.update(0));
  EXPECT_TRUE(large.update(1_GiB * 101));
  DiskAlarm off(0);
  EXPECT_FALSE(off.update(0));
}

}  // namespace
}  // namespace warren::broker
