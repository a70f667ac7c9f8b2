// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "storage/base/crc32c.h"
#include "storage/record/body_record.h"
#include "storage/record/chunk_reader.h"
#include "storage/record/chunk_writer.h"

namespace warren::storage {
namespace {

constexpr LogId kLog{7};

std::vector<ChunkEntry> three_entries() {
  return {{100, "first"}, {101, ""}, {4'000'000'000, "the third one"}};
}

TEST(Chunk, ComesBackAsItWent) {
  const auto entries = three_entries();
  const std::string bytes = encode_chunk(kLog, entries);
  const auto chunk = ChunkReader::open(bytes);
  ASSERT_TRUE(chunk.ok()) << chunk.error().text;
  EXPECT_EQ(chunk->log(), kLog);
  EXPECT_EQ(chunk->first(), 100u);
  EXPECT_EQ(chunk->last(), 4'000'000'000u);
  EXPECT_EQ(chunk->payload_bytes(), 18u);
  ASSERT_EQ(chunk->count(), entries.size());
  for (std::uint32_t i = 0; i < chunk->count(); ++i) {
    EXPECT_EQ(chunk->entry(i).seq, entries[i].seq);
    EXPECT_EQ(chunk->entry(i).block, entries[i].block);
  }
}

// The layout is on people's disks: this test changes only together with the version.
TEST(Chunk, LayoutIsTheDocumentedOne) {
  const std::vector<ChunkEntry> entries = {{2, "ab"}, {5, "c"}};
  const std::string bytes = encode_chunk(LogId(1), entries);
  const unsigned char expected[] = {
      'W', 'C', 'H', 'K', 1, 0, 0, 0,  // magic, version, flags, reserved
      0,   0,   0,   2,                // entries
      0,   0,   0,   0,   0, 0, 0, 1,  // log
      0,   0,   0,   0,   0, 0, 0, 2,  // first
      0,   0,   0,   0,   0, 0, 0, 5,  // last
      0,   0,   0,   0,   0, 0, 0, 3,  // payload bytes
      0,   0,   0,   0,   0, 0, 0, 2,  // entry 0: delta, end
      0,   0,   0,   3,   0, 0, 0, 3,  // entry 1
      'a', 'b', 'c'};
  EXPECT_EQ(bytes.substr(4), std::string(reinterpret_cast<const char*>(expected), sizeof expected));
}

// An entry of a message that is stored once for several logs.
TEST(Chunk, ReferencesComeBackAsTheyWent) {
  const BodyRef ref{{3, 9}, 70'000};
  const std::string encoded = encode_body_ref(ref);
  const std::vector<ChunkEntry> entries = {{5, "own"}, {6, encoded}, {9, ""}, {10, encoded}};
  const std::vector<std::uint32_t> shared = {1, 3};
  const std::string bytes = encode_chunk(kLog, entries, shared);
  const auto chunk = ChunkReader::open(bytes);
  ASSERT_TRUE(chunk.ok()) << chunk.error().text;
  EXPECT_TRUE(chunk->has_shared());
  for (std::uint32_t i = 0; i < chunk->count(); ++i) {
    EXPECT_EQ(chunk->entry(i).seq, entries[i].seq);
    EXPECT_EQ(chunk->entry(i).block, entries[i].block);
    EXPECT_EQ(chunk->shared(i).has_value(), i % 2 == 1);
    EXPECT_EQ(chunk->block_bytes(i), i % 2 == 1 ? 70'000u : entries[i].block.size());
  }
  EXPECT_EQ(chunk->shared(1), ref);
  EXPECT_EQ(chunk->bodies(), (std::vector<BodyId>{{3, 9}, {3, 9}}));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(ChunkReader::open(flipped).ok()) << bit;
  }
}

// The layout is on people's disks, too.
TEST(Chunk, LayoutOfAReferenceIsTheDocumentedOne) {
  const std::string ref = encode_body_ref({{1, 2}, 3});
  const std::vector<ChunkEntry> entries = {{2, "ab"}, {5, ref}};
  const std::vector<std::uint32_t> shared = {1};
  const std::string bytes = encode_chunk(LogId(1), entries, shared);
  const unsigned char expected[] = {
      'W', 'C', 'H', 'K', 2,   0, 0, 0,   // magic, version, flags, reserved
      0,   0,   0,   2,                   // entries
      0,   0,   0,   0,   0,   0, 0, 1,   // log
      0,   0,   0,   0,   0,   0, 0, 2,   // first
      0,   0,   0,   0,   0,   0, 0, 5,   // last
      0,   0,   0,   0,   0,   0, 0, 22,  // payload bytes
      0,   0,   0,   0,   0,   0, 0, 2,   // entry 0: delta, end
      0,   0,   0,   3,   128, 0, 0, 22,  // entry 1: a reference
      'a', 'b',                           //
      0,   0,   0,   0,   0,   0, 0, 1,   // origin
      0,   0,   0,   0,   0,   0, 0, 2,   // number
      0,   0,   0,   3};                  // bytes of the block
  EXPECT_EQ(bytes.substr(4), std::string(reinterpret_cast<const char*>(expected), sizeof expected));
}

// Whoever sealed it: a chunk of version 2 has a reference, of the right size and to something.
TEST(Chunk, UnsoundReferencesAreRefused) {
  const auto sealed = [](std::string bytes, std::size_t at, char octet) {
    bytes[at] = octet;
    std::string out;
    ByteWriter(out).u32(crc32c(Bytes(bytes).substr(4)));
    return out + bytes.substr(4);
  };
  const std::string ref = encode_body_ref({{1, 2}, 3});
  const std::vector<ChunkEntry> entries = {{2, ref}};
  const std::vector<std::uint32_t> shared = {0};
  const std::string bytes = encode_chunk(LogId(1), entries, shared);
  EXPECT_TRUE(ChunkReader::open(sealed(bytes, 8, 2)).ok());
  EXPECT_FALSE(ChunkReader::open(sealed(bytes, 8, 1)).ok());    // the bit is none in version 1
  EXPECT_FALSE(ChunkReader::open(sealed(bytes, 52, 0)).ok());   // no entry is shared
  EXPECT_FALSE(ChunkReader::open(sealed(bytes, 55, 19)).ok());  // ends elsewhere
  EXPECT_FALSE(ChunkReader::open(sealed(bytes, 71, 0)).ok());   // body 0
  const std::vector<ChunkEntry> two = {{2, "x"}, {3, ref}};
  const std::vector<std::uint32_t> second = {1};
  std::string shifted = encode_chunk(LogId(1), two, second);
  EXPECT_FALSE(ChunkReader::open(sealed(shifted, 55, 2)).ok());  // 19 bytes are no reference
}

// S7
TEST(Chunk, EveryTruncationIsNoticed) {
  const std::string bytes = encode_chunk(kLog, three_entries());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ChunkReader::open(Bytes(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ChunkReader::open(bytes + '\0').ok());
}

// S7
TEST(Chunk, EveryFlippedBitIsNoticed) {
  const std::string bytes = encode_chunk(kLog, three_entries());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto chunk = ChunkReader::open(flipped);
    ASSERT_FALSE(chunk.ok()) << bit;
    EXPECT_EQ(chunk.error().code, Errc::corruption);
  }
}

// A torn write: the tail is zeros, or an older record's bytes.
TEST(Chunk, ForeignTailIsNoticed) {
  std::vector<ChunkEntry> entries;
  const std::string body(100, 'b');
  for (Seq seq = 1; seq <= 50; ++seq) entries.push_back({seq, body});
  const std::string bytes = encode_chunk(kLog, entries);
  const std::string other = encode_chunk(LogId(8), entries);
  for (std::size_t at = 0; at < bytes.size(); at += 13) {
    EXPECT_FALSE(
        ChunkReader::open(bytes.substr(0, at) + std::string(bytes.size() - at, '\0')).ok());
    const std::string mixed = bytes.substr(0, at) + other.substr(at);
    if (mixed != bytes && mixed != other) {
      EXPECT_FALSE(ChunkReader::open(mixed).ok()) << at;
    }
  }
}

// Found by fuzz_chunk: seqs start at 1, whoever sealed it.
TEST(Chunk, AMessageZeroIsRefused) {
  const std::vector<ChunkEntry> entries = {{1, "a"}};
  std::string bytes = encode_chunk(kLog, entries);
  for (const std::size_t low_octet : {31, 39}) bytes[low_octet] = 0;  // first and last seq
  std::string sealed;
  ByteWriter(sealed).u32(crc32c(Bytes(bytes).substr(4)));
  EXPECT_FALSE(ChunkReader::open(sealed + bytes.substr(4)).ok());
}

TEST(Chunk, RandomChunksRoundTrip) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> bodies;
    std::vector<ChunkEntry> entries;
    Seq seq = 1 + random() % 1000;
    for (std::uint64_t left = 1 + random() % 300; left > 0; --left) {
      bodies.emplace_back(random() % 200, static_cast<char>(random()));
      seq += 1 + random() % 3;
    }
    seq = 1;
    for (const std::string& body : bodies) entries.push_back({seq += 1 + random() % 5, body});
    const std::string bytes = encode_chunk(kLog, entries);
    const auto chunk = ChunkReader::open(bytes);
    ASSERT_TRUE(chunk.ok());
    ASSERT_EQ(chunk->count(), entries.size());
    for (std::uint32_t i = 0; i < chunk->count(); ++i) {
      ASSERT_EQ(chunk->entry(i).seq, entries[i].seq);
      ASSERT_EQ(chunk->entry(i).block, entries[i].block);
    }
  }
}

TEST(Chunk, DamageIsCountedWhenTheCountIsCredible) {
  std::string bytes = encode_chunk(kLog, three_entries());
  bytes.back() ^= 1;
  EXPECT_EQ(damaged_entry_count(bytes), 3u);
  bytes[12] = '\xFF';
  EXPECT_EQ(damaged_entry_count(bytes), 1u);
  EXPECT_EQ(damaged_entry_count("short"), 1u);
}

TEST(ChunkDeathTest, SeqsMustAscend) {
  const std::vector<ChunkEntry> entries = {{5, "a"}, {5, "b"}};
  EXPECT_DEATH(encode_chunk(kLog, entries), "entry.seq > previous");
  EXPECT_DEATH(encode_chunk(kLog, {}), "empty");
}

}  // namespace
}  // namespace warren::storage
