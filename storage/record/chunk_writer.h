// SPDX-License-Identifier: Apache-2.0
// Packs messages into one chunk. Layout: chunk_format.h.
#pragma once

#include <span>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/record/chunk_format.h"

namespace warren::storage {

struct ChunkEntry {
  Seq seq = 0;
  Bytes block;
};

// `shared`: indexes, ascending, of entries whose block is an encoded BodyRef.
// REQUIRES: entries is not empty, seqs ascend, and seqs and bytes span at most kChunkSpanMax
// (bytes: kChunkSharedSpanMax when some are shared).
std::string encode_chunk(LogId log, std::span<const ChunkEntry> entries,
                         std::span<const std::uint32_t> shared = {});

}  // namespace warren::storage
