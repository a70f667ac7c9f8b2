// SPDX-License-Identifier: Apache-2.0
// S7: whatever is damaged is named and passed over, and nothing else is.
#include "storage/inspect/chunk_walk.h"

#include <limits>
#include <set>

#include <gmock/gmock.h>

#include "tests/unit/storage/inspect/store_records.h"

namespace warren::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

// A store below that fails when it meets certain keys, as RocksDB does with a damaged blob; or
// anywhere in a range, as with a damaged block.
class FailingStore final : public KvStore {
 public:
  FailingStore(std::unique_ptr<KvStore> good, std::set<std::string> bad,
               Errc code = Errc::corruption)
      : good_(std::move(good)), bad_(std::move(bad)), code_(code) {}
  void fail_block(std::string from, std::string to) {
    block_from_ = std::move(from);
    block_to_ = std::move(to);
  }

  Result<std::optional<std::string>> get(Family family, Bytes key) override {
    return good_->get(family, key);
  }
  std::unique_ptr<KvCursor> scan(Family family, Bytes from, Bytes to) override {
    auto cursor = std::make_unique<Cursor>(*this, good_->scan(family, from, to));
    // A block is read as a whole when a scan may need it.
    const bool reads_block = family == Family::queue_log && !block_to_.empty() &&
                             from < block_to_ && to > block_from_ && from >= block_from_;
    if (reads_block) cursor->broken = true;
    return cursor;
  }
  Status commit(std::span<const KvBatch* const>, WriteMode) override { return {}; }
  Status clear(Family) override { return {}; }
  void on_background_error(std::function<void(const Error&)>) override {}
  Status close() override { return {}; }

 private:
  struct Cursor final : KvCursor {
    Cursor(FailingStore& owner, std::unique_ptr<KvCursor> from)
        : store(owner), good(std::move(from)) {}
    bool bad() const {
      if (broken) return true;
      if (!good->valid()) return false;
      const std::string key(good->key());
      return store.bad_.contains(key) ||
             (!store.block_to_.empty() && key >= store.block_from_ && key < store.block_to_);
    }
    bool valid() const override { return good->valid() && !bad(); }
    Bytes key() const override { return good->key(); }
    Bytes value() const override { return good->value(); }
    void next() override { good->next(); }
    Status status() const override {
      return bad() ? Status(Error{store.code_, "told to fail"}) : Status();
    }
    FailingStore& store;
    std::unique_ptr<KvCursor> good;
    bool broken = false;
  };
  std::unique_ptr<KvStore> good_;
  std::set<std::string> bad_;
  Errc code_;
  std::string block_from_;
  std::string block_to_;
};

struct Walked {
  std::vector<Seq> sound;
  std::vector<Seq> damaged;
  std::vector<std::pair<Seq, Seq>> unreadable;
  std::vector<Seq> missing;
};

Walked walk_all(KvStore& store) {
  Walked out;
  ChunkWalk walk(store, ChunkKey{}, ChunkKey{LogId(kMax), kMax});
  for (; walk.valid(); walk.next()) {
    const WalkedChunk& chunk = walk.chunk();
    switch (chunk.kind) {
      case WalkedChunk::Kind::sound:
        out.sound.push_back(chunk.key.base);
        break;
      case WalkedChunk::Kind::damaged:
      case WalkedChunk::Kind::malformed_key:
        out.damaged.push_back(chunk.key.base);
        break;
      case WalkedChunk::Kind::unreadable:
        out.unreadable.emplace_back(chunk.key.base, chunk.gap_end.base);
        break;
      case WalkedChunk::Kind::missing:
        out.missing.push_back(chunk.key.base);
        break;
    }
  }
  return out;
}

StoreRecords many_chunks() {
  StoreRecords records;
  for (Seq base = 10; base <= 100; base += 10) records.chunk(7, base, {"x"});
  return records;
}

std::string key(Seq base) {
  return StoreRecords::key(7, base);
}

TEST(ChunkWalk, GivesEachChunkItsSettledSet) {
  const auto store = sound_records().in_memory();
  ChunkWalk walk(*store, ChunkKey{LogId(1), 0}, ChunkKey{LogId(2), 0});
  ASSERT_TRUE(walk.valid());
  EXPECT_EQ(walk.chunk().key.base, 5u);
  EXPECT_TRUE(walk.chunk().settled(0));
  EXPECT_FALSE(walk.chunk().settled(1));
  walk.next();
  ASSERT_TRUE(walk.valid());
  EXPECT_EQ(walk.chunk().key.base, 9u);
  EXPECT_FALSE(walk.chunk().has_acks);
  EXPECT_FALSE(walk.chunk().settled(0));
  walk.next();
  EXPECT_FALSE(walk.valid());
}

TEST(ChunkWalk, SettledSetsWithoutAChunkAreNamedInTheirPlace) {
  StoreRecords records = many_chunks();
  records.acks(7, 5, 1, {0}).acks(7, 55, 1, {0}).acks(7, 500, 1, {0});
  EXPECT_THAT(walk_all(*records.in_memory()).missing, ElementsAre(5, 55, 500));
}

TEST(ChunkWalk, DamagedChunksArePassedOver) {
  StoreRecords records = many_chunks();
  std::string value = StoreRecords::chunk_value(7, 25, {"x"});
  value.back() ^= 1;
  records.raw(Family::queue_log, key(25), value);
  records.raw(Family::queue_log, key(35), StoreRecords::chunk_value(8, 35, {"x"}));
  const Walked walked = walk_all(*records.in_memory());
  EXPECT_EQ(walked.sound.size(), 10u);
  EXPECT_THAT(walked.damaged, ElementsAre(25, 35));
}

TEST(ChunkWalk, ASettledSetOfAnotherSizeIsNotUsed) {
  StoreRecords records = many_chunks();
  records.acks(7, 20, 3, {0, 1});
  const auto store = records.in_memory();
  ChunkWalk walk(*store, ChunkKey{LogId(7), 20}, ChunkKey{LogId(7), 21});
  ASSERT_TRUE(walk.valid());
  EXPECT_TRUE(walk.chunk().acks_error.has_value());
  EXPECT_FALSE(walk.chunk().settled(0));
}

TEST(ChunkWalk, UnreadableRecordsAreFoundExactly) {
  for (const std::set<Seq>& bad :
       {std::set<Seq>{10}, {50}, {100}, {10, 20}, {30, 60}, {90, 100}, {10, 20, 30, 40, 50}}) {
    std::set<std::string> keys;
    for (const Seq base : bad) keys.insert(key(base));
    FailingStore store(many_chunks().in_memory(), keys);
    const Walked walked = walk_all(store);
    EXPECT_EQ(walked.sound.size(), 10 - bad.size());
    std::set<Seq> named;
    for (const auto& [from, to] : walked.unreadable) {
      EXPECT_EQ(to, from + 1);
      named.insert(from);
    }
    EXPECT_EQ(named, bad);
  }
}

TEST(ChunkWalk, AnUnreadableBlockIsPassedOverInOneStep) {
  FailingStore store(many_chunks().in_memory(), {});
  store.fail_block(key(30), key(1'000'000'000'000));
  StoreRecords behind = many_chunks();
  const Walked walked = walk_all(store);
  EXPECT_THAT(walked.sound, ElementsAre(10, 20));
  ASSERT_EQ(walked.unreadable.size(), 1u);
  EXPECT_LE(walked.unreadable[0].first, 30u);
  EXPECT_THAT(walked.damaged, IsEmpty());
}

TEST(ChunkWalk, ReadingGoesOnBehindAnUnreadableBlock) {
  FailingStore store(many_chunks().in_memory(), {});
  store.fail_block(key(30), key(71));
  const Walked walked = walk_all(store);
  EXPECT_THAT(walked.sound, ElementsAre(10, 20, 80, 90, 100));
}

// An error that is not damage says nothing of what is there.
TEST(ChunkWalk, StopsAtErrorsThatAreNoDamage) {
  FailingStore store(many_chunks().in_memory(), {key(50)}, Errc::io_error);
  ChunkWalk walk(store, ChunkKey{}, ChunkKey{LogId(kMax), kMax});
  int sound = 0;
  for (; walk.valid(); walk.next()) ++sound;
  EXPECT_EQ(sound, 4);
  EXPECT_EQ(walk.status().error().code, Errc::io_error);
}

TEST(ChunkBaseFor, FindsTheChunkThatWouldHoldASeq) {
  const auto store = many_chunks().in_memory();
  EXPECT_EQ(chunk_base_for(*store, LogId(7), 10), 10u);
  EXPECT_EQ(chunk_base_for(*store, LogId(7), 19), 10u);
  EXPECT_EQ(chunk_base_for(*store, LogId(7), 20), 20u);
  EXPECT_EQ(chunk_base_for(*store, LogId(7), 5000), 100u);
  EXPECT_EQ(chunk_base_for(*store, LogId(7), 9), 9u);
  EXPECT_EQ(chunk_base_for(*store, LogId(6), 50), 50u);
  EXPECT_EQ(chunk_base_for(*store, LogId(7), kMax), 100u);
}

}  // namespace
}  // namespace warren::storage
