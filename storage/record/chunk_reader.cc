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
  const std::uint8_t version = reader.u8();
  if (version != kChunkVersionPlain && version != kChunkVersionShared) {
    return Error{Errc::format_too_new, fmt::format("chunk has version {}", version)};
  }
  const bool flags_clear = reader.u8() == 0 && reader.u16() == 0;
  if (!flags_clear) return Error{Errc::format_too_new, "chunk has unknown flags"};

  ChunkReader out;
  out.shared_ = version == kChunkVersionShared;
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

// In version 1 the top bit is a part of the end like any other.
std::uint32_t ChunkReader::end_of(std::uint32_t index) const {
  const char* const raw = index_.data() + std::size_t{index} * kChunkIndexEntryBytes;
  const auto end = load_big_endian<std::uint32_t>(raw + 4);
  return shared_ ? end & ~kChunkSharedBit : end;
}

bool ChunkReader::is_shared(std::uint32_t index) const {
  const char* const raw = index_.data() + std::size_t{index} * kChunkIndexEntryBytes;
  return shared_ && (load_big_endian<std::uint32_t>(raw + 4) & kChunkSharedBit) != 0;
}

bool ChunkReader::index_is_sound() const {
  if (first_ == 0) return false;  // seqs start at 1
  std::uint32_t previous_end = 0;
  bool any_shared = false;
  for (std::uint32_t i = 0; i < count_; ++i) {
    const char* const raw = index_.data() + std::size_t{i} * kChunkIndexEntryBytes;
    const auto delta = load_big_endian<std::uint32_t>(raw);
    const std::uint32_t end = end_of(i);
    if (i == 0 && delta != 0) return false;
    if (i > 0 && delta <= load_big_endian<std::uint32_t>(raw - kChunkIndexEntryBytes)) return false;
    if (end < previous_end || end > payload_.size()) return false;
    if (is_shared(i)) {
      any_shared = true;
      if (end - previous_end != kBodyRefBytes) return false;
      if (!decode_body_ref(payload_.substr(previous_end, kBodyRefBytes)).body) return false;
    }
    previous_end = end;
    if (i + 1 == count_ && (last_ < first_ || last_ - first_ != delta)) return false;
  }
  return previous_end == payload_.size() && any_shared == shared_;
}

ChunkEntry ChunkReader::entry(std::uint32_t index) const {
  WARREN_ASSERT(index < count_);
  const char* const raw = index_.data() + std::size_t{index} * kChunkIndexEntryBytes;
  const std::uint32_t begin = index == 0 ? 0 : end_of(index - 1);
  return ChunkEntry{first_ + load_big_endian<std::uint32_t>(raw),
                    payload_.substr(begin, end_of(index) - begin)};
}

std::optional<BodyRef> ChunkReader::shared(std::uint32_t index) const {
  WARREN_ASSERT(index < count_);
  if (!is_shared(index)) return std::nullopt;
  return decode_body_ref(entry(index).block);
}

std::uint64_t ChunkReader::block_bytes(std::uint32_t index) const {
  const auto ref = shared(index);
  return ref.has_value() ? ref->bytes : entry(index).block.size();
}

std::vector<BodyId> ChunkReader::bodies() const {
  std::vector<BodyId> out;
  if (!shared_) return out;
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (const auto ref = shared(i)) out.push_back(ref->body);
  }
  return out;
}

std::uint64_t damaged_entry_count(Bytes chunk) {
  if (chunk.size() < kChunkHeaderBytes) return 1;
  const auto count = load_big_endian<std::uint32_t>(chunk.data() + kCountOffset);
  const std::size_t count_max = (chunk.size() - kChunkHeaderBytes) / kChunkIndexEntryBytes;
  return count >= 1 && count <= count_max ? count : 1;
}

}  // namespace warren::storage
