// SPDX-License-Identifier: Apache-2.0
// Options that do not go together are refused before anything is sent, by name.
#include "server/tools/perf/options.h"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>

namespace warren::perf {
namespace {

using ::testing::HasSubstr;

LoadOptions parsed(std::vector<std::string> words) {
  LoadOptions options;
  CLI::App app;
  add_broker_options(app, options.broker);
  add_traffic_options(app, options.traffic);
  add_count_options(app, options.traffic);
  add_queue_options(app, options.queues);
  add_run_options(app, options.run);
  add_output_options(app, options.output);
  add_csv_option(app, options.output);
  std::reverse(words.begin(), words.end());
  app.parse(words);
  return options;
}

std::string refusal(const std::vector<std::string>& words) {
  const Status status = parsed(words).resolve();
  if (status.ok()) return "";
  EXPECT_EQ(status.error().code, Errc::invalid_argument);
  return status.error().text;
}

TEST(Options, ReadLikeThoseOfOtherGenerators) {
  LoadOptions options =
      parsed({"-x", "2",  "-y", "3",    "-s", "16-64", "-p", "-c", "100", "-a",  "10",
              "-P", "50", "-r", "1000", "-R", "500",   "-u", "q",  "-z",  "1.5", "-l",
              "-j", "-q", "-e", "ex",   "-k", "key",   "-C", "7",  "-D",  "8"});
  ASSERT_TRUE(options.resolve().ok());
  EXPECT_EQ(options.traffic.publishers, 2U);
  EXPECT_EQ(options.traffic.consumers, 3U);
  EXPECT_EQ(options.traffic.sizes.largest(), 64U);
  EXPECT_TRUE(options.traffic.persistent);
  EXPECT_EQ(options.traffic.publish_count, 7U);
  EXPECT_EQ(options.traffic.consume_count, 8U);
  EXPECT_EQ(options.run.seconds, 1.5);
  EXPECT_TRUE(options.run.latency);
  EXPECT_TRUE(parsed({"-V"}).run.verify);
  EXPECT_TRUE(options.output.json && options.output.quiet);
  EXPECT_EQ(options.queues.exchange, "ex");
}

// So that a script can add to its defaults.
TEST(Options, TheLastOneCounts) {
  const LoadOptions options = parsed({"-s", "16", "-x", "1", "-s", "32", "-x", "5"});
  EXPECT_EQ(options.traffic.sizes_text, "32");
  EXPECT_EQ(options.traffic.publishers, 5U);
}

TEST(Options, QueuesAreNumbered) {
  LoadOptions options = parsed({"-u", "q", "--queues", "3"});
  ASSERT_TRUE(options.resolve().ok());
  EXPECT_EQ(options.queues.pattern, "q-%d");
  EXPECT_EQ(options.queues.from, 1U);
  EXPECT_EQ(options.queues.to, 3U);
  LoadOptions one = parsed({"-u", "q"});
  ASSERT_TRUE(one.resolve().ok());
  EXPECT_EQ(one.queues.pattern, "q");
  ASSERT_TRUE(one.resolve().ok()) << "the steps of a sweep resolve again";
  EXPECT_EQ(one.queues.pattern, "q");
}

TEST(Options, ATotalRateIsSharedOut) {
  EXPECT_EQ(parsed({"-x", "2", "-X", "2", "--total-rate", "1000"}).traffic.rate_each(), 250);
  EXPECT_EQ(parsed({"-x", "2", "-r", "100"}).traffic.rate_each(), 100);
}

TEST(Options, WhatDoesNotGoTogetherIsNamed) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_THAT(refusal({"-s", "x"}), HasSubstr("--size"));
  EXPECT_THAT(refusal({"-s", "8", "-l"}), HasSubstr("--size"));
  EXPECT_THAT(refusal({"-s", "8-64", "-V"}), HasSubstr("at least 16"));
  EXPECT_EQ(refusal({"-s", "8", "-x", "0", "-l"}), "");
  EXPECT_THAT(refusal({"-c", "1", "-t", "1"}), HasSubstr("--tx"));
  EXPECT_THAT(refusal({"-T", "1"}), HasSubstr("--ack-tx"));
  EXPECT_THAT(refusal({"-V", "-y", "0"}), HasSubstr("--verify"));
  EXPECT_THAT(refusal({"--queue-pattern", "q"}), HasSubstr("%d"));
  EXPECT_THAT(refusal({"--queue-pattern", "q%d", "--queue-pattern-from", "2"}),
              HasSubstr("--queue-pattern-to"));
  EXPECT_THAT(refusal({"--queue-args", "x"}), HasSubstr("--queue-args"));
  EXPECT_THAT(refusal({"--priority", "x"}), HasSubstr("--priority"));
  EXPECT_THAT(refusal({"--exchange-type", "topic"}), HasSubstr("--exchange"));
  EXPECT_THAT(refusal({"--uri", "http://x"}), HasSubstr("--uri"));
  EXPECT_THAT(refusal({"-V", "-C", "10", "-D", "5"}), HasSubstr("--consume-count"));
  EXPECT_THAT(refusal({"--binding-key", "k"}), HasSubstr("--exchange"));
}

// Such a run would end with its time only.
TEST(Options, WhatNobodyWouldDoIsRefused) {
  EXPECT_THAT(refusal({"-x", "0", "-y", "0"}), HasSubstr("nothing to do"));
  EXPECT_THAT(refusal({"-x", "0", "-C", "5"}), HasSubstr("--publish-count"));
  EXPECT_THAT(refusal({"-y", "0", "-D", "5"}), HasSubstr("--consume-count"));
  EXPECT_EQ(refusal({"-x", "0", "-D", "5"}), "");
  EXPECT_EQ(refusal({"-y", "0", "-C", "5"}), "");
}

TEST(Options, WhatWouldBeIgnoredIsRefused) {
  EXPECT_THROW(parsed({"--queue-pattern-to", "3"}), CLI::RequiresError);
  EXPECT_THROW(parsed({"--queue-pattern-from", "3"}), CLI::RequiresError);
  EXPECT_THROW(parsed({"--queue-pattern", "q-%d", "--queues", "3"}), CLI::ExcludesError);
}

// Otherwise a list would swallow what follows it.
TEST(Options, AListTakesOneWordEachTime) {
  const LoadOptions options = parsed({"--queue-args", "a=1", "--queue-args", "b=2", "-p"});
  EXPECT_EQ(options.queues.argument_texts, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_THROW(parsed({"--queue-args", "a=1", "b=2"}), CLI::ParseError);
}

TEST(ParseNumbers, IsAListWithUnits) {
  EXPECT_THAT(*parse_numbers("16,1KiB,5000"), ::testing::ElementsAre(16, 1024, 5000));
  EXPECT_FALSE(parse_numbers("16,x").ok());
  EXPECT_FALSE(parse_numbers("").ok());
}

}  // namespace
}  // namespace warren::perf
