// SPDX-License-Identifier: Apache-2.0
// Medians and ratios of alternating runs.
#include "server/tools/perf/comparison.h"

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

LoadReport report_of(std::uint64_t published) {
  LoadReport report;
  report.seconds = 1;
  report.counters.published = published;
  return report;
}

TEST(Median, IsTheMiddle) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 100}), 3);
}

// The machine was slow in the second round, for both.
TEST(Comparison, RatiosArePerRound) {
  Comparison comparison({"one", "other"});
  const std::pair<std::uint64_t, std::uint64_t> rounds[] = {{1000, 500}, {100, 50}, {1200, 600}};
  for (const auto& [one, other] : rounds) {
    comparison.add(0, report_of(one));
    comparison.add(1, report_of(other));
  }
  const boost::json::object json = comparison.json();
  const auto& brokers = json.at("brokers").as_array();
  ASSERT_EQ(brokers.size(), 2U);
  EXPECT_EQ(brokers[0].at("medians").at("publish_rate").to_number<double>(), 1000);
  EXPECT_EQ(brokers[1].at("medians").at("publish_rate").to_number<double>(), 500);
  EXPECT_EQ(brokers[1].at("first_divided_by_this").at("publish_rate").to_number<double>(), 2);
  EXPECT_EQ(brokers[1].at("runs").as_array().size(), 3U);
}

TEST(Comparison, LargeRatiosAreWrittenOut) {
  Comparison comparison({"one", "other"});
  comparison.add(0, report_of(1'240'000));
  comparison.add(1, report_of(1000));
  EXPECT_THAT(comparison.text(), ::testing::HasSubstr(" 1240x\n"));
}

// What one of them did not have is not compared.
TEST(Comparison, LeavesOutWhatIsUnknown) {
  Comparison comparison({"one", "other"});
  LoadReport with = report_of(10);
  with.server = ServerCost{.cpu_seconds = 1};
  comparison.add(0, with);
  comparison.add(1, report_of(10));
  EXPECT_THAT(comparison.text(), ::testing::HasSubstr("published/s"));
  EXPECT_THAT(comparison.text(), ::testing::HasSubstr("one / other"));
  EXPECT_THAT(comparison.text(), ::testing::Not(::testing::HasSubstr("CPU")));
  EXPECT_THAT(comparison.text(), ::testing::Not(::testing::HasSubstr("consumed/s")));
}

}  // namespace
}  // namespace warren::perf
