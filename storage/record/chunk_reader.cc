// SPDX-License-Identifier: Apache-2.0
#include "storage/record/chunk_reader.h"

#include <fmt/format.h>

#include "storage/base/assert.h"
#include "storage/base/crc32c.h"

namespace warren::storage {
namespace {

constexpr std::size_t kCountOffset = 12;

Error corrupt(const char* why) {
  return Error{Errc::corruption, fmt::format("chunk {}", why)};
}

}  // namespace

Result<ChunkReader> ChunkReader::open(Bytes chunk) {
  if (chunk.size() < kChunkHeaderBytes) return corrupt("is shorter than its header");
  ByteReader reader(chunk);
  const std::uint32_t crc = reader.u32();
  if (crc != crc32c(chunk.substr(4))) return corrupt("fails its checksum");
  if (reader.u32() != kChunkMagic) return corrupt("has no magic number");
  if (const std::uint8_t version = reader.u8(); version != kChunkVersion) {
    return Error{Errc::format_too_new, fmt::format("chunk has version {}", version)};
  }
  const bool flags_clear = reader.u8() == 0 && reader.u16() == 0;
  if (!flags_clear) return Error{Errc::format_too_new, "chunk has unknown flags"};

  ChunkReader out;
  out.count_ = reader.u32();
  out.log_ = LogId(reader.u64());
  out.first_ = reader.u64();
  out.last_ = reader.u64();
  const std::uint64_t payload_bytes = reader.u64();
  out.index_ = reader.raw(std::size_t{out.count_} * kChunkIndexEntryBytes);
  if (!reader.ok() || out.count_ == 0) return corrupt("has a wrong entry count");
  if (reader.remaining() != payload_bytes) return corrupt("has a wrong payload size");
  out.payload_ = reader.raw(reader.remaining());
  if (!out.index_is_sound()) return corrupt("has an inconsistent index");
  return out;
}

bool ChunkReader::index_is_sound() const {
  if (first_ == 0) return false;  // seqs start at 1
  std::uint32_t previous_end = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    const char* const raw = index_.data() + std::size_t{i} * kChunkIndexEntryBytes;
    const auto delta = load_big_endian<std::uint32_t>(raw);
    const auto end = load_big_endian<std::uint32_t>(raw + 4);
    if (i == 0 && delta != 0) return false;
    if (i > 0 && delta <= load_big_endian<std::uint32_t>(raw - kChunkIndexEntryBytes)) return false;
    if (end < previous_end) return false;
    previous_end = end;
    if (i + 1 == count_ && (last_ < first_ || last_ - first_ != delta)) return false;
  }
  return previous_end == payload_.size();
}

ChunkEntry ChunkReader::entry(std::uint32_t index) const {
  WARREN_ASSERT(index < count_);
  const char* const raw = index_.data() + std::size_t{index} * kChunkIndexEntryBytes;
  const std::uint32_t begin = index == 0 ? 0 : load_big_endian<std::uint32_t>(raw - 4);
  const std::uint32_t end = load_big_endian<std::uint32_t>(raw + 4);
  return ChunkEntry{first_ + load_big_endian<std::uint32_t>(raw),
                    payload_.substr(begin, end - begin)};
}

std::uint64_t damaged_entry_count(Bytes chunk) {
  if (chunk.size() < kChunkHeaderBytes) return 1;
  const auto count = load_big_endian<std::uint32_t>(chunk.data() + kCountOffset);
  const std::size_t count_max = (chunk.size() - kChunkHeaderBytes) / kChunkIndexEntryBytes;
  return count >= 1 && count <= count_max ? count : 1;
}

}  // namespace warren::storage
