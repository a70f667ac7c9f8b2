// SPDX-License-Identifier: Apache-2.0
// Names from patterns, and who gets which queue.
#include "server/tools/perf/topology.h"

#include <set>

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

using ::testing::ElementsAre;

QueueOptions numbered(const std::string& pattern, unsigned from, unsigned to) {
  QueueOptions options;
  options.pattern = pattern;
  options.from = from;
  options.to = to;
  return options;
}

TEST(WithNumber, ReplacesEveryMark) {
  EXPECT_EQ(with_number("q-%d", 7), "q-7");
  EXPECT_EQ(with_number("%d.%d", 12), "12.12");
  EXPECT_EQ(with_number("plain", 1), "plain");
  EXPECT_EQ(with_number("", 1), "");
}

TEST(Topology, PublishesToItsQueuesByDefault) {
  const QueueOptions options = numbered("q-%d", 3, 5);
  const Topology topology(options);
  EXPECT_THAT(topology.queues(), ElementsAre("q-3", "q-4", "q-5"));
  EXPECT_THAT(topology.targets(),
              ElementsAre(Target{"", "q-3"}, Target{"", "q-4"}, Target{"", "q-5"}));
}

TEST(Topology, NumbersExchangesAndKeys) {
  QueueOptions options = numbered("q-%d", 1, 2);
  options.exchange = "ex-%d";
  options.routing_key = "key.%d";
  EXPECT_THAT(Topology(options).targets(),
              ElementsAre(Target{"ex-1", "key.1"}, Target{"ex-2", "key.2"}));
}

TEST(Topology, OneTargetForAllQueuesIsOneTarget) {
  QueueOptions options = numbered("q-%d", 1, 9);
  options.exchange = "amq.fanout";
  options.routing_key = "any";
  const Topology topology(options);
  EXPECT_EQ(topology.queues().size(), 9U);
  EXPECT_THAT(topology.targets(), ElementsAre(Target{"amq.fanout", "any"}));
}

TEST(Share, UsesAllAndGivesEachSomething) {
  for (const unsigned count : {1U, 2U, 5U, 100U}) {
    for (const unsigned users : {1U, 2U, 3U, 7U}) {
      std::set<unsigned> used;
      for (unsigned n = 0; n < users; ++n) {
        const auto mine = Topology::share(count, users, n);
        EXPECT_FALSE(mine.empty());
        used.insert(mine.begin(), mine.end());
        EXPECT_LE(mine.size(), (count + users - 1) / users);
      }
      EXPECT_EQ(used.size(), count) << count << " " << users;
    }
  }
}

}  // namespace
}  // namespace warren::perf
