// SPDX-License-Identifier: Apache-2.0
// What several logs refer to is in memory once, too, however many of them have read it.
// Checks: S6.
#include "storage/engine/shared_blocks.h"

#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/storage/engine/store_driver.h"

namespace warren::storage {
namespace {

const BodyId kName{1, 1};

TEST(SharedBlocks, ABlockIsFoundWhileSomebodyHoldsIt) {
  const auto blocks = std::make_shared<SharedBlocks>();
  EXPECT_EQ(blocks->find(kName), nullptr);
  BlockRef block = blocks->add(kName, "body");
  EXPECT_EQ(block->bytes(), "body");
  EXPECT_EQ(blocks->find(kName), block);
  EXPECT_EQ(blocks->add(kName, "body"), block);
  EXPECT_EQ(blocks->find(BodyId{1, 2}), nullptr);
  block.reset();
  EXPECT_EQ(blocks->find(kName), nullptr);
  EXPECT_EQ(blocks->size(), 0u);
}

// Sessions may hold messages of a store that is closed.
TEST(SharedBlocks, BlocksMayOutliveTheirList) {
  auto blocks = std::make_shared<SharedBlocks>();
  const BlockRef block = blocks->add(kName, "body");
  blocks.reset();
  EXPECT_EQ(block->bytes(), "body");
}

// A last reference may go on one thread while another thread finds the block.
TEST(SharedBlocks, ThreadsMayFindWhatOthersLetGo) {
  constexpr std::uint64_t kNames = 3;
  constexpr int kRounds = 20'000;
  const auto blocks = std::make_shared<SharedBlocks>();
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::vector<BlockRef> held(2);
    for (int round = 0; round < kRounds; ++round) {
      const BodyId name{1, 1 + random() % kNames};
      const std::string text(100, static_cast<char>('a' + name.number));
      BlockRef block = blocks->find(name);
      if (block == nullptr) block = blocks->add(name, text);
      ASSERT_EQ(block->bytes(), text);
      held[random() % held.size()] = std::move(block);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(blocks->size(), 0u);
}

// Two logs, one shared message in each, released.
class SharedReads : public ::testing::Test {
 protected:
  static StoreOptions small() {
    StoreOptions options;
    options.shared_bytes_min = 100;
    return options;
  }

  SharedReads() {
    const BlockRef block = block_of(text_);
    const BodyId body = d.shard().share(*block);
    for (QueueLog* const log : logs_) log->append(1, block, Durability::durable, nullptr, {}, body);
    d.settle_down();
    for (QueueLog* const log : logs_) log->release(1, 2);
  }
  BlockRef read(QueueLog& log) {
    BlockRef block;
    log.read(1, 2, 1, [&](Result<ReadResult> result) {
      ASSERT_TRUE(result.ok());
      ASSERT_EQ(result->messages.size(), 1u);
      block = result->messages.front().block;
    });
    d.store->step_read();
    d.shards[0]->executor.run_all();
    return block;
  }

  StoreDriver d{small()};
  const std::string text_ = std::string(200, 'b');
  const std::vector<QueueLog*> logs_ = {&new_log(d), &new_log(d)};
};

TEST_F(SharedReads, LogsThatReadTheSameBodyShareItsBlock) {
  const BlockRef first = read(*logs_[0]);
  const BlockRef second = read(*logs_[1]);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->bytes(), block_of(text_)->bytes());
  EXPECT_EQ(first, second);
}

TEST_F(SharedReads, WhatIsGoneFromMemoryIsReadAgain) {
  read(*logs_[0]).reset();
  const BlockRef again = read(*logs_[1]);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->bytes(), block_of(text_)->bytes());
}

}  // namespace
}  // namespace warren::storage
