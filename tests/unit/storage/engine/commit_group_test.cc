// SPDX-License-Identifier: Apache-2.0
// S4: what the cut of a commit may contain.
#include "storage/engine/commit_group.h"

#include <map>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>

namespace warren::storage {
namespace {

constexpr std::size_t kUnlimited = ~std::size_t{0};

// A hand-over that carries its name in its first token.
std::unique_ptr<HandOver> hand_over(ShardIndex shard, std::uint64_t name,
                                    std::vector<FanoutPart> fanouts = {}, std::size_t bytes = 1) {
  auto out = std::make_unique<HandOver>();
  out->shard = shard;
  out->fanouts = std::move(fanouts);
  out->tokens.push_back(CommitToken{name, 0});
  out->batch.put(Family::queue_log, "k", std::string(bytes - 1, 'v'));
  return out;
}

std::string names(const HandOvers& group) {
  std::string out;
  for (const auto& each : group) {
    out += std::to_string(each->shard) + ":" + std::to_string(each->tokens.front().a) + " ";
  }
  return out;
}

TEST(CommitQueue, TakesEverythingWithoutFanouts) {
  CommitQueue queue(2);
  EXPECT_TRUE(queue.take(kUnlimited).empty());
  queue.add(hand_over(0, 1));
  queue.add(hand_over(1, 2));
  queue.add(hand_over(0, 3));
  EXPECT_EQ(names(queue.take(kUnlimited)), "0:1 0:3 1:2 ");
  EXPECT_EQ(queue.size(), 0u);
}

TEST(CommitQueue, CutsBeforeAnIncompleteFanout) {
  CommitQueue queue(2);
  queue.add(hand_over(0, 1));
  queue.add(hand_over(0, 2, {{50, 2}}));
  queue.add(hand_over(0, 3));
  queue.add(hand_over(1, 4));
  EXPECT_EQ(names(queue.take(kUnlimited)), "0:1 1:4 ");
  EXPECT_TRUE(queue.take(kUnlimited).empty());
  queue.add(hand_over(1, 5, {{50, 2}}));
  EXPECT_EQ(names(queue.take(kUnlimited)), "0:2 0:3 1:5 ");
}

// Cutting one shard takes parts away from others, which cuts these in turn.
TEST(CommitQueue, CutsRipple) {
  CommitQueue queue(3);
  queue.add(hand_over(0, 1, {{90, 2}}));  // its other part is missing
  queue.add(hand_over(0, 2, {{91, 2}}));  // behind it
  queue.add(hand_over(1, 3));
  queue.add(hand_over(1, 4, {{91, 2}}));  // hence cut
  queue.add(hand_over(1, 5, {{92, 2}}));  // behind it
  queue.add(hand_over(2, 6, {{92, 2}}));  // hence cut
  EXPECT_EQ(names(queue.take(kUnlimited)), "1:3 ");
  queue.add(hand_over(2, 7, {{90, 2}}));
  EXPECT_EQ(names(queue.take(kUnlimited)), "0:1 0:2 1:4 1:5 2:6 2:7 ");
}

TEST(CommitQueue, FanoutsInOppositeOrderAreNoDeadlock) {
  CommitQueue queue(2);
  queue.add(hand_over(0, 1, {{70, 2}}));
  queue.add(hand_over(0, 2, {{71, 2}}));
  queue.add(hand_over(1, 3, {{71, 2}}));
  EXPECT_TRUE(queue.take(kUnlimited).empty());
  queue.add(hand_over(1, 4, {{70, 2}}));
  EXPECT_EQ(queue.take(kUnlimited).size(), 4u);
}

TEST(CommitQueue, BytesLimitTheGroup) {
  CommitQueue queue(2);
  for (std::uint64_t i = 0; i < 6; ++i) {
    queue.add(hand_over(static_cast<ShardIndex>(i % 2), i, {}, 100));
  }
  EXPECT_EQ(queue.take(250).size(), 3u);
  EXPECT_EQ(queue.take(1).size(), 1u);
  EXPECT_EQ(queue.take(kUnlimited).size(), 2u);
}

TEST(CommitQueue, FanoutWiderThanTheLimitStillGoes) {
  CommitQueue queue(3);
  for (ShardIndex shard = 0; shard < 3; ++shard) {
    queue.add(hand_over(shard, shard, {{60, 3}}, 1000));
  }
  EXPECT_EQ(queue.take(1).size(), 3u);
}

TEST(CommitQueueDeathTest, MorePartsThanSaid) {
  CommitQueue queue(2);
  queue.add(hand_over(0, 1, {{60, 2}}));
  queue.add(hand_over(0, 2, {{60, 2}}));
  queue.add(hand_over(1, 3, {{60, 2}}));
  EXPECT_DEATH(queue.take(kUnlimited), "S4");
}

// Random arrivals: every group is a prefix per shard, holds whole fan-outs only, is never smaller
// than it could be, and in the end everything went.
TEST(CommitQueue, RandomArrivals) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const unsigned shards = 1 + random() % 4;
    std::vector<std::deque<std::unique_ptr<HandOver>>> arriving(shards);
    std::vector<std::deque<std::uint64_t>> expected(shards);
    std::uint64_t name = 0;
    for (std::uint64_t fanout = 1; fanout <= 40; ++fanout) {
      std::vector<ShardIndex> targets;
      for (ShardIndex shard = 0; shard < shards; ++shard) {
        if (random() % 2 == 0) targets.push_back(shard);
      }
      for (const ShardIndex shard : targets) {
        const FanoutPart part{fanout, static_cast<unsigned>(targets.size())};
        auto each = hand_over(shard, ++name);
        if (targets.size() > 1) each->fanouts.push_back(part);
        arriving[shard].push_back(std::move(each));
        expected[shard].push_back(name);
      }
    }
    CommitQueue queue(shards);
    std::map<std::uint64_t, unsigned> seen;
    bool left = true;
    while (left) {
      const auto shard = random() % shards;
      if (!arriving[shard].empty() && random() % 3 != 0) {
        queue.add(std::move(arriving[shard].front()));
        arriving[shard].pop_front();
      } else {
        std::map<std::uint64_t, std::pair<unsigned, unsigned>> parts;
        for (const auto& each : queue.take(random() % 2 == 0 ? kUnlimited : 1 + random() % 5)) {
          ASSERT_EQ(each->tokens.front().a, expected[each->shard].front());
          expected[each->shard].pop_front();
          for (const FanoutPart& part : each->fanouts) {
            parts[part.fanout].first += 1;
            parts[part.fanout].second = part.shard_count;
          }
        }
        for (const auto& [fanout, counts] : parts) ASSERT_EQ(counts.first, counts.second);
      }
      left = queue.size() > 0;
      for (const auto& each : arriving) left = left || !each.empty();
    }
    for (const auto& each : expected) EXPECT_TRUE(each.empty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace warren::storage
