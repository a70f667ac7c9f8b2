// SPDX-License-Identifier: Apache-2.0
// A chunk behind its checksum, and with whatever checksum the input has.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/assert.h"
#include "storage/base/crc32c.h"
#include "storage/record/chunk_reader.h"

namespace warren::storage {
namespace {

// What is taken for a chunk is exactly what its entries encode to.
void read(Bytes bytes) {
  static_cast<void>(damaged_entry_count(bytes));
  const auto chunk = ChunkReader::open(bytes);
  if (!chunk.ok()) return;
  std::vector<ChunkEntry> entries;
  std::vector<std::uint32_t> shared;
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < chunk->count(); ++i) {
    entries.push_back(chunk->entry(i));
    total += entries.back().block.size();
    if (const auto ref = chunk->shared(i)) {
      shared.push_back(i);
      WARREN_ASSERT(encode_body_ref(*ref) == entries.back().block);
      WARREN_ASSERT(chunk->block_bytes(i) == ref->bytes);
    }
    WARREN_ASSERT(entries.back().seq >= chunk->first() && entries.back().seq <= chunk->last());
  }
  WARREN_ASSERT(chunk->bodies().size() == shared.size());
  WARREN_ASSERT(total == chunk->payload_bytes());
  WARREN_ASSERT(damaged_entry_count(bytes) == chunk->count());
  WARREN_ASSERT(encode_chunk(chunk->log(), entries, shared) == bytes);
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const warren::Bytes input(reinterpret_cast<const char*>(data), size);
  warren::storage::read(input);
  std::string sealed;
  warren::ByteWriter(sealed).u32(warren::crc32c(input));
  warren::storage::read(sealed.append(input));
  return 0;
}
