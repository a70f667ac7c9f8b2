// SPDX-License-Identifier: Apache-2.0
// Reports say the same to people and to programs.
#include "server/tools/perf/report.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "server/tools/perf/table.h"

namespace warren::perf {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LoadReport a_report() {
  LoadReport report;
  report.seconds = 2;
  report.counters = {
      .published = 2000, .confirmed = 1900, .consumed = 1000, .consumed_bytes = 3 << 20};
  report.latency.add(1500, 100);
  report.server = ServerCost{.cpu_seconds = 0.1, .anonymous_bytes = 1 << 20};
  report.client = {.threads = 2, .cores = 1.2, .busiest = 0.7};
  return report;
}

LoadOptions resolved() {
  LoadOptions options;
  options.traffic.confirm_window = 10;
  EXPECT_TRUE(options.resolve().ok());
  return options;
}

TEST(LoadReport, CountsPerSecondAndPerMessage) {
  const LoadReport report = a_report();
  EXPECT_EQ(report.publish_rate(), 1000);
  EXPECT_EQ(report.consume_rate(), 500);
  EXPECT_DOUBLE_EQ(report.cpu_microseconds_per_message(), 50);
  EXPECT_EQ(LoadReport{}.publish_rate(), 0);
  EXPECT_EQ(LoadReport{}.cpu_microseconds_per_message(), 0);
}

TEST(ToJson, IsReadAgain) {
  const auto text = boost::json::serialize(to_json(a_report(), resolved()));
  const boost::json::value value = boost::json::parse(text);
  EXPECT_EQ(value.at("published").to_number<int>(), 2000);
  EXPECT_EQ(value.at("confirm_window").to_number<int>(), 10);
  EXPECT_EQ(value.at("publish_rate").to_number<double>(), 1000);
  EXPECT_EQ(value.at("consumed_bytes").to_number<int>(), 3 << 20);
  EXPECT_NEAR(value.at("delivery_latency").at("p50_ms").to_number<double>(), 1.5, 0.03);
  EXPECT_FALSE(value.as_object().contains("confirm_latency"));
  EXPECT_FALSE(value.as_object().contains("verified"));
}

TEST(ToText, ShowsWhatWasMeasured) {
  LoadReport report = a_report();
  const std::string text = to_text(report, resolved());
  EXPECT_THAT(text, HasSubstr("1 publisher, 1 consumer, 1 queue, 16 B, transient"));
  EXPECT_THAT(text, HasSubstr("500/s  1.5 MiB/s"));
  EXPECT_THAT(text, HasSubstr("50.00 us CPU per message"));
  EXPECT_THAT(text, HasSubstr("delivery    median 1.5"));
  EXPECT_THAT(text, Not(HasSubstr("verified")));
  EXPECT_THAT(text, Not(HasSubstr("may be the limit")));
  report.client.busiest = 0.99;
  report.verdict = Verdict{.checked = 5, .lost = 1};
  const std::string worse = to_text(report, resolved());
  EXPECT_THAT(worse, HasSubstr("may be the limit"));
  EXPECT_THAT(worse, HasSubstr("NOT SOUND: 1 lost"));
}

TEST(Table, AlignsItsColumns) {
  Table table({"name", "n"});
  table.add({"a", "1"});
  table.add({"long name", "1000"});
  EXPECT_EQ(table.text(), "name          n\na             1\nlong name  1000\n");
}

}  // namespace
}  // namespace warren::perf
