// SPDX-License-Identifier: Apache-2.0
// A row per second, and what a reader of the file gets back.
#include "server/tools/perf/recorder.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "server/tools/perf/csv_file.h"

namespace warren::perf {
namespace {

Second busy_second() {
  Second second;
  second.at = 3;
  second.seconds = 2;
  second.counters = {.published = 2000, .confirmed = 1000, .consumed = 500};
  second.delivery.add(1000, 99);
  second.delivery.add(50'000);
  second.server_cores = 0.5;
  second.server_anonymous_mib = 12.5;
  return second;
}

TEST(CsvRow, HasAFieldPerColumn) {
  for (const Second& second : {Second{}, busy_second()}) {
    const std::string row = csv_row(second);
    const std::string header = csv_header();
    EXPECT_EQ(std::count(row.begin(), row.end(), ','),
              std::count(header.begin(), header.end(), ','));
    EXPECT_EQ(row.back(), '\n');
  }
}

TEST(CsvRow, ComesBackAsItWasWritten) {
  const auto file = parse_csv(csv_header() + csv_row(Second{}) + csv_row(busy_second()));
  ASSERT_TRUE(file.ok()) << file.error().text;
  ASSERT_EQ(file->rows.size(), 2U);
  const auto value = [&](const char* column) { return file->rows[1][*file->find(column)]; };
  EXPECT_EQ(value("seconds"), 3);
  EXPECT_EQ(value("published"), 1000);
  EXPECT_EQ(value("confirmed"), 500);
  EXPECT_EQ(value("consumed"), 250);
  EXPECT_NEAR(*value("delivery_p50_ms"), 1, 0.02);
  EXPECT_NEAR(*value("delivery_max_ms"), 50, 0.001);
  EXPECT_EQ(value("confirm_p50_ms"), std::nullopt);
  EXPECT_EQ(value("server_cores"), 0.5);
  EXPECT_EQ(value("server_anonymous_mib"), 12.5);
}

TEST(ProgressLine, ShowsRatesAndLatency) {
  const std::string line = progress_line(busy_second());
  EXPECT_THAT(line, ::testing::HasSubstr("1000/s"));
  EXPECT_THAT(line, ::testing::HasSubstr("delivery 1.0"));
}

TEST(Recorder, SaysWhereItCannotWrite) {
  OutputOptions options;
  options.csv = "/nowhere/at/all.csv";
  const auto recorder = Recorder::open(options, "");
  ASSERT_FALSE(recorder.ok());
  EXPECT_THAT(recorder.error().text, ::testing::HasSubstr(options.csv));
}

TEST(ParseCsv, NamesTheLineThatIsWrong) {
  EXPECT_FALSE(parse_csv("").ok());
  EXPECT_FALSE(parse_csv("a,b\n").ok());
  for (const char* text : {"a,b\n1,2\n1\n", "a,b\n1,2\n1,x\n", "a,b\n1,2\n1,2,3\n"}) {
    const auto file = parse_csv(text);
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_THAT(file.error().text, ::testing::HasSubstr("line 3"));
  }
}

TEST(ParseCsv, TakesFilesOfOtherSystems) {
  const auto file = parse_csv("a,b\r\n1,\r\n\r\n");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->rows.size(), 1U);
  EXPECT_EQ(file->find("b"), 1U);
  EXPECT_EQ(file->find("c"), std::nullopt);
  EXPECT_EQ(file->rows[0][1], std::nullopt);
}

}  // namespace
}  // namespace warren::perf
