// SPDX-License-Identifier: Apache-2.0
// Layout of a chunk: the messages that one queue gained in one commit, as one record. Big endian.
//
//    0  u32  CRC32C of everything behind this field
//    4  u32  magic "WCHK"
//    8  u8   version (1, or 2 when some entry is a reference)
//    9  u8   flags (0)
//   10  u16  reserved (0)
//   12  u32  entry count, >= 1
//   16  u64  log id, so that a chunk under a wrong key is not taken for another queue's (S7)
//   24  u64  first seq == base seq of the key
//   32  u64  last seq
//   40  u64  payload bytes
//   48       index, per entry: u32 seq - first seq, u32 end of the block within the payload
//            since version 2: the top bit of the end says that the entry is a reference to a body
//            (body_record.h) and not the block itself
//   48+8n    payload: the blocks and references, back to back
#pragma once

#include <cstddef>
#include <cstdint>

namespace warren::storage {

inline constexpr std::uint32_t kChunkMagic = 0x5743484B;
inline constexpr std::uint8_t kChunkVersionPlain = 1;
inline constexpr std::uint8_t kChunkVersionShared = 2;
inline constexpr std::uint32_t kChunkSharedBit = 0x80000000;
inline constexpr std::size_t kChunkHeaderBytes = 48;
inline constexpr std::size_t kChunkIndexEntryBytes = 8;
// What the u32 fields of the index can say.
inline constexpr std::uint64_t kChunkSpanMax = 0xFFFFFFFF;
// The payload, where the top bit of an end is taken.
inline constexpr std::uint64_t kChunkSharedSpanMax = kChunkSharedBit - 1;
// Far more than chunks of a sensible size hold; bounds what a damaged count can ask for.
inline constexpr std::uint32_t kChunkEntriesMax = 1 << 20;

}  // namespace warren::storage
