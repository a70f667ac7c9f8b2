// SPDX-License-Identifier: Apache-2.0
// The order and the memory of a queue's ready messages, against a plain model.
#include "server/broker/queue/ready_store.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace warren::broker {
namespace {

storage::LogState disk_state(Seq head, Seq next, std::uint64_t count, std::uint64_t bytes) {
  storage::LogState state;
  state.head = head;
  state.next = next;
  state.live_count = count;
  state.live_bytes = bytes;
  return state;
}

constexpr std::size_t kBlockBytes = 100;

ReadyMessage message(Seq seq, Kept kept = Kept::durable) {
  return {seq, Block::create(kBlockBytes), kept, false};
}

// "1 2r 3": seqs as they come, r: redelivered.
std::string drain(ReadyStore& store) {
  std::string text;
  while (ReadyMessage* const next = store.front()) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{}{}", next->seq, next->redelivered ? "r" : "");
    store.take_front();
  }
  return text;
}

// S7: a log with losses may hold more than its state says: all of it is read before it counts as
// empty.
TEST(ReadyStore, AnUnsureLogIsReadToItsEnd) {
  storage::LogState state = disk_state(1, 5, 0, 0);
  ReadyStore sure(1 << 20);
  sure.start_on_disk(state);
  EXPECT_FALSE(sure.has_gap());
  state.estimated = true;
  ReadyStore store(1 << 20);
  store.start_on_disk(state);
  EXPECT_EQ(store.count(), 1u);
  std::vector<ReadyMessage> first;
  first.push_back(message(1));
  EXPECT_EQ(store.on_read(std::move(first), 3), 0u);
  EXPECT_EQ(drain(store), "1");
  EXPECT_TRUE(store.has_gap());
  EXPECT_EQ(store.count(), 1u);
  EXPECT_EQ(store.on_read({}, 5), 0u);  // nothing is missing: nobody said how many there are
  EXPECT_EQ(store.count(), 0u);
}

// B1
TEST(ReadyStore, GivenBackComesFirstAndInPlace) {
  ReadyStore store(1 << 20);
  for (Seq seq = 1; seq <= 5; ++seq) store.push(message(seq));
  ReadyMessage one = store.take_front();
  ReadyMessage two = store.take_front();
  ReadyMessage three = store.take_front();
  two.redelivered = true;
  one.redelivered = true;
  store.give_back(std::move(two));
  store.give_back(std::move(one));
  EXPECT_EQ(drain(store), "1r 2r 4 5");
}

// B8: beyond the window, what is on disk is let go of; reading it brings it back in order.
TEST(ReadyStore, GrowsAGapAndReadsItBack) {
  ReadyStore store(10 * kBlockBytes);
  for (Seq seq = 1; seq <= 10; ++seq) store.push(message(seq));
  EXPECT_FALSE(store.on_stored(1, 10));  // all fits into the window
  for (Seq seq = 11; seq <= 20; ++seq) store.push(message(seq));
  EXPECT_TRUE(store.on_stored(11, 20));
  EXPECT_EQ(store.memory_bytes(), 10 * kBlockBytes);
  for (Seq seq = 21; seq <= 30; ++seq) store.push(message(seq));
  EXPECT_TRUE(store.on_stored(21, 30));
  EXPECT_EQ(store.memory_bytes(), 10 * kBlockBytes);
  store.push(message(31));  // the tail
  EXPECT_EQ(store.count(), 31U);
  for (int i = 0; i < 6; ++i) store.take_front();
  ASSERT_TRUE(store.wants_read());
  EXPECT_EQ(store.gap_begin(), 11U);
  EXPECT_EQ(store.gap_end(), 31U);
  std::vector<ReadyMessage> some;
  for (Seq seq = 11; seq <= 20; ++seq) some.push_back(message(seq));
  EXPECT_EQ(store.on_read(std::move(some), 21), 0U);
  EXPECT_EQ(store.count(), 25U);
  some.clear();
  for (Seq seq = 21; seq <= 30; ++seq) some.push_back(message(seq));
  EXPECT_EQ(store.on_read(std::move(some), 31), 0U);
  EXPECT_FALSE(store.has_gap());
  EXPECT_EQ(drain(store),
            "7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31");
}

TEST(ReadyStore, AMessageThatOnlyMemoryHoldsIsNeverLetGoOf) {
  ReadyStore store(2 * kBlockBytes);
  for (Seq seq = 1; seq <= 4; ++seq) store.push(message(seq));
  store.push(message(5, Kept::memory));
  store.push(message(6));
  EXPECT_FALSE(store.on_stored(3, 6));
  EXPECT_FALSE(store.on_stored(3, 4));  // the gap would have 5 behind it, in memory only
  EXPECT_EQ(drain(store), "1 2 3 4 5 6");
}

TEST(ReadyStore, DamagedMessagesAreCountedWhenTheGapCloses) {
  ReadyStore store(1000);
  store.start_on_disk(disk_state(5, 10, 5, 5 * kBlockBytes));
  EXPECT_EQ(store.count(), 5U);
  std::vector<ReadyMessage> some;
  some.push_back(message(6));
  some.push_back(message(9));
  EXPECT_EQ(store.on_read(std::move(some), 10), 3U);
  EXPECT_EQ(store.count(), 2U);
}

TEST(ReadyStore, ClearGivesEverythingAndTheGap) {
  ReadyStore store(2 * kBlockBytes);
  for (Seq seq = 1; seq <= 3; ++seq) store.push(message(seq));
  for (Seq seq = 4; seq <= 6; ++seq) store.push(message(seq));
  ASSERT_TRUE(store.on_stored(4, 6));
  store.push(message(7));
  ReadyStore::Gap gap;
  EXPECT_EQ(store.clear(gap).size(), 4U);
  EXPECT_EQ(gap.begin, 4U);
  EXPECT_EQ(gap.end, 7U);
  EXPECT_EQ(gap.durable_count, 3U);
  EXPECT_EQ(gap.durable_bytes, 3 * kBlockBytes);
  EXPECT_EQ(store.count(), 0U);
  // What was cleared while it was on its way to the disk is not let go of later.
  for (Seq seq = 8; seq <= 12; ++seq) store.push(message(seq));
  EXPECT_FALSE(store.on_stored(7, 9));
}

// B1, B2, B8 over random histories: every message comes once per life, in order, and memory stays
// within bounds.
class ReadyStoreModel : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, ReadyStoreModel, ::testing::Range(1U, 21U));

TEST_P(ReadyStoreModel, AgreesWithASortedSet) {
  std::mt19937 random(GetParam());
  constexpr std::uint64_t kWindow = 8 * kBlockBytes;
  ReadyStore store(kWindow);
  std::map<Seq, bool> model;  // ready: seq -> redelivered
  std::map<Seq, ReadyMessage> held;
  Seq next = 1;
  Seq unstored_from = 1;
  Seq highest_taken = 0;
  for (int round = 0; round < 4000; ++round) {
    const auto draw = random() % 10;
    if (draw < 4) {
      const bool store_it = store.wants_memory_relief() || random() % 3 != 0;
      store.push(message(next, store_it ? Kept::durable : Kept::memory));
      model.emplace(next++, false);
    } else if (draw < 6) {
      if (next == unstored_from) continue;
      store.on_stored(unstored_from, next - 1);
      unstored_from = next;
      if (store.has_gap()) {
        ASSERT_LE(store.memory_bytes(), kWindow + 64 * kBlockBytes);
      }
    } else if (draw < 8) {
      if (ReadyMessage* const front = store.front()) {
        ASSERT_FALSE(model.empty());
        ASSERT_EQ(front->seq, model.begin()->first);
        ASSERT_EQ(front->redelivered, model.begin()->second);
        ReadyMessage taken = store.take_front();
        model.erase(taken.seq);
        highest_taken = std::max(highest_taken, taken.seq);
        held.emplace(taken.seq, std::move(taken));
      }
    } else if (draw == 8) {
      if (held.empty()) continue;
      auto at = std::next(held.begin(), static_cast<long>(random() % held.size()));
      ReadyMessage back = std::move(at->second);
      held.erase(at);
      back.redelivered = true;
      model.emplace(back.seq, true);
      store.give_back(std::move(back));
    } else if (store.wants_read()) {
      const Seq from = store.gap_begin();
      const Seq to = std::min<Seq>(from + random() % 6 + 1, store.gap_end());
      std::vector<ReadyMessage> some;
      for (auto at = model.lower_bound(from); at != model.end() && at->first < to; ++at) {
        some.push_back(message(at->first));
      }
      ASSERT_EQ(store.on_read(std::move(some), to), 0U);
    }
    ASSERT_EQ(store.count(), model.size()) << "round " << round;
  }
}

}  // namespace
}  // namespace warren::broker
