// SPDX-License-Identifier: Apache-2.0
// Sizes read as people write them, and come as often as they said.
#include "server/tools/perf/body_sizes.h"

#include <map>

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

BodySizes parsed(const std::string& text) {
  auto sizes = BodySizes::parse(text);
  EXPECT_TRUE(sizes.ok()) << text;
  return sizes.ok() ? *sizes : BodySizes(0);
}

TEST(ParseBytes, KnowsUnits) {
  const std::pair<const char*, std::uint32_t> cases[] = {
      {"0", 0}, {"16", 16}, {"4KiB", 4096}, {"4K", 4096}, {"1MiB", 1 << 20}, {"12B", 12}};
  for (const auto& [text, bytes] : cases) {
    const auto value = parse_bytes(text);
    ASSERT_TRUE(value.ok()) << text;
    EXPECT_EQ(*value, bytes) << text;
  }
}

TEST(BodySizes, OneSizeIsThatSize) {
  const BodySizes sizes = parsed("1024");
  Random random(1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(sizes.next(random), 1024U);
  EXPECT_EQ(sizes.text(), "1024 B");
  EXPECT_EQ(sizes.mean(), 1024);
}

TEST(BodySizes, ARangeIsEvenAndHasItsEnds) {
  const BodySizes sizes = parsed("16-31");
  Random random(1);
  std::map<std::uint32_t, int> seen;
  for (int i = 0; i < 16'000; ++i) ++seen[sizes.next(random)];
  ASSERT_EQ(seen.size(), 16U);
  EXPECT_EQ(seen.begin()->first, 16U);
  EXPECT_EQ(seen.rbegin()->first, 31U);
  for (const auto& [bytes, count] : seen) EXPECT_NEAR(count, 1000, 200) << bytes;
}

TEST(BodySizes, WeightsAreKept) {
  const BodySizes sizes = parsed("16:50,1024:30,64KiB:20");
  Random random(1);
  std::map<std::uint32_t, int> seen;
  for (int i = 0; i < 10'000; ++i) ++seen[sizes.next(random)];
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_NEAR(seen[16], 5000, 300);
  EXPECT_NEAR(seen[1024], 3000, 300);
  EXPECT_NEAR(seen[65536], 2000, 300);
  EXPECT_EQ(sizes.smallest(), 16U);
  EXPECT_EQ(sizes.largest(), 65536U);
  EXPECT_EQ(sizes.text(), "16:50,1024:30,65536:20 B");
}

TEST(BodySizes, AWeightOfZeroNeverComes) {
  const BodySizes sizes = parsed("16:0,32:1");
  Random random(1);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(sizes.next(random), 32U);
}

TEST(BodySizes, RefusesWhatIsNone) {
  for (const char* text : {"", "x", "16-", "-16", "32-16", "16:", "16:x", "16:0", "16,,32", "1GiB",
                           "513MiB", "16 ", "0x10", "4294967296"}) {
    EXPECT_FALSE(BodySizes::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace warren::perf
