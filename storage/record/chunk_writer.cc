// SPDX-License-Identifier: Apache-2.0
#include "storage/record/chunk_writer.h"

#include "storage/base/assert.h"
#include "storage/base/crc32c.h"
#include "storage/record/body_record.h"

namespace warren::storage {

std::string encode_chunk(LogId log, std::span<const ChunkEntry> entries,
                         std::span<const std::uint32_t> shared) {
  WARREN_ASSERT(!entries.empty());
  const Seq first = entries.front().seq;
  const Seq last = entries.back().seq;
  WARREN_ASSERT(last - first <= kChunkSpanMax);
  std::uint64_t payload_bytes = 0;
  for (const ChunkEntry& entry : entries) payload_bytes += entry.block.size();
  WARREN_ASSERT(payload_bytes <= (shared.empty() ? kChunkSpanMax : kChunkSharedSpanMax));

  std::string out;
  out.reserve(kChunkHeaderBytes + entries.size() * kChunkIndexEntryBytes + payload_bytes);
  ByteWriter writer(out);
  writer.u32(0);
  writer.u32(kChunkMagic);
  writer.u8(shared.empty() ? kChunkVersionPlain : kChunkVersionShared);
  writer.u8(0);
  writer.u16(0);
  writer.u32(static_cast<std::uint32_t>(entries.size()));
  writer.u64(log.value);
  writer.u64(first);
  writer.u64(last);
  writer.u64(payload_bytes);
  std::uint32_t end = 0;
  Seq previous = 0;
  for (const ChunkEntry& entry : entries) {
    WARREN_ASSERT(entry.seq > previous);
    previous = entry.seq;
    end += static_cast<std::uint32_t>(entry.block.size());
    char raw[kChunkIndexEntryBytes];
    store_big_endian<std::uint32_t>(raw, static_cast<std::uint32_t>(entry.seq - first));
    store_big_endian<std::uint32_t>(raw + 4, end);
    out.append(raw, sizeof raw);
  }
  for (const ChunkEntry& entry : entries) out.append(entry.block);
  for (const std::uint32_t index : shared) {
    WARREN_ASSERT(entries[index].block.size() == kBodyRefBytes);
    const std::size_t at = kChunkHeaderBytes + std::size_t{index} * kChunkIndexEntryBytes + 4;
    writer.patch_u32(at, load_big_endian<std::uint32_t>(out.data() + at) | kChunkSharedBit);
  }
  writer.patch_u32(0, crc32c(Bytes(out).substr(4)));
  return out;
}

}  // namespace warren::storage
