// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "storage/base/block.h"
#include "storage/base/bytes.h"
#include "storage/base/crc32c.h"
#include "storage/base/result.h"
#include "storage/base/units.h"

namespace warren {
namespace {

// The check values of RFC 3720, appendix B.4.
TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
}

TEST(Bytes, WhatIsWrittenIsRead) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(1);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090A0B0C0D0E0F);
  writer.raw("tail");
  writer.patch_u32(3, 0xA0B0C0D0);
  ByteReader reader(out);
  EXPECT_EQ(reader.u8(), 1u);
  EXPECT_EQ(reader.u16(), 0x0203u);
  EXPECT_EQ(reader.u32(), 0xA0B0C0D0u);
  EXPECT_EQ(reader.u64(), 0x08090A0B0C0D0E0Fu);
  EXPECT_EQ(reader.raw(4), "tail");
  EXPECT_TRUE(reader.ok() && reader.at_end());
}

TEST(Bytes, FirstReadPastTheEndSticks) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0u);
  EXPECT_EQ(reader.raw(1), "");
}

TEST(Block, IsFreedWithItsLastReference) {
  BlockRef one = Block::copy_of("bytes");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([one] {
      for (int j = 0; j < 1000; ++j) {
        const BlockRef copy = one;
        EXPECT_EQ(copy->bytes(), "bytes");
      }
    });
  }
  one.reset();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Block::create(0)->size(), 0u);
}

Status fail_if(bool fail) {
  return fail ? Status(Error{Errc::no_space, "full"}) : Status();
}

Result<int> twice(Result<int> in) {
  WARREN_TRY(const int value, std::move(in));
  WARREN_CHECK(fail_if(value > 10));
  return value * 2;
}

TEST(Result, TryAndCheckPassErrorsOn) {
  EXPECT_EQ(twice(4).value(), 8);
  EXPECT_EQ(twice(Error{Errc::corruption, "x"}).error().code, Errc::corruption);
  EXPECT_EQ(twice(11).error().code, Errc::no_space);
}

TEST(Units, AreBinary) {
  EXPECT_EQ(1_KiB, 1024u);
  EXPECT_EQ(2_MiB, 2u << 20);
  EXPECT_EQ(1_GiB, 1u << 30);
}

}  // namespace
}  // namespace warren
