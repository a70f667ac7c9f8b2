// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/chunk_table.h"

#include <map>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>

namespace warren::storage {
namespace {

ChunkMeta chunk_of(const std::vector<Seq>& seqs) {
  std::vector<ChunkEntry> entries;
  for (const Seq seq : seqs) entries.push_back({seq, "x"});
  return make_chunk_meta(entries);
}

TEST(ChunkTable, FindsEntriesOfDenseAndSparseChunks) {
  ChunkTable table;
  table.insert(chunk_of({1, 2, 3}));
  table.insert(chunk_of({10, 12, 15}));
  EXPECT_EQ(table.find(2).index, 1u);
  EXPECT_EQ(table.find(15).index, 2u);
  EXPECT_EQ(table.find(12).chunk->base, 10u);
  for (const Seq seq : {0, 4, 9, 11, 13, 16}) EXPECT_EQ(table.find(seq).chunk, nullptr) << seq;
  EXPECT_EQ(table.at_base(10)->last, 15u);
  EXPECT_EQ(table.at_base(12), nullptr);
  EXPECT_EQ(table.first_base(), 1u);
}

TEST(ChunkTable, ReadChunksGoBetweenOthers) {
  ChunkTable table;
  table.insert(chunk_of({1, 2}));
  table.insert(chunk_of({20, 21}));
  EXPECT_NE(table.find(20).chunk, nullptr);
  table.insert(chunk_of({10, 11}));
  for (const Seq seq : {1, 2, 10, 11, 20, 21}) EXPECT_NE(table.find(seq).chunk, nullptr) << seq;
}

TEST(ChunkTableDeathTest, OverlapsAreRefused) {
  ChunkTable table;
  table.insert(chunk_of({5, 9}));
  EXPECT_DEATH(table.insert(chunk_of({7})), "last");
}

TEST(ChunkTable, ReleaseForgetsWholeChunks) {
  ChunkTable table;
  for (Seq base = 1; base <= 41; base += 10) table.insert(chunk_of({base, base + 1}));
  table.release(11, 31);
  EXPECT_EQ(table.find(11).chunk, nullptr);
  EXPECT_EQ(table.find(22).chunk, nullptr);
  EXPECT_NE(table.find(1).chunk, nullptr);
  EXPECT_NE(table.find(31).chunk, nullptr);
  EXPECT_TRUE(table.any_live(2, 2));
  EXPECT_FALSE(table.any_live(3, 30));
}

// Against a plain map, with settles in any order, releases and insertions.
TEST(ChunkTable, RandomAgainstAMap) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    ChunkTable table;
    std::map<Seq, std::set<Seq>> live;  // base -> unsettled seqs
    Seq next = 1;
    for (int step = 0; step < 600; ++step) {
      if (random() % 3 == 0) {
        std::vector<Seq> seqs;
        for (std::uint64_t left = 1 + random() % 5; left > 0; --left) {
          next += random() % 4 == 0 ? 2 : 1;
          seqs.push_back(next);
        }
        table.insert(chunk_of(seqs));
        live[seqs.front()] = std::set<Seq>(seqs.begin(), seqs.end());
      } else if (!live.empty()) {
        auto at = live.begin();
        if (seed % 2 == 0) std::advance(at, random() % live.size());
        const Seq seq = *at->second.begin();
        const ChunkTable::Found found = table.find(seq);
        ASSERT_NE(found.chunk, nullptr);
        ASSERT_EQ(found.chunk->base, at->first);
        ASSERT_TRUE(found.chunk->acks.set(found.index));
        at->second.erase(at->second.begin());
        if (at->second.empty()) {
          table.bury(*found.chunk);
          live.erase(at);
        }
      }
      ASSERT_EQ(table.empty(), live.empty());
      const Seq probe = 1 + random() % next;
      bool here = false;
      for (const auto& [base, seqs] : live) here = here || seqs.contains(probe);
      const ChunkTable::Found found = table.find(probe);
      ASSERT_EQ(found.chunk != nullptr && !found.chunk->acks.test(found.index), here);
      if (!live.empty()) {
        ASSERT_EQ(table.first_base(), live.begin()->first);
      }
    }
  }
}

}  // namespace
}  // namespace warren::storage
