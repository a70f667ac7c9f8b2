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

// REQUIRES: entries is not empty, seqs ascend, and seqs and bytes span at most kChunkSpanMax.
std::string encode_chunk(LogId log, std::span<const ChunkEntry> entries);

}  // namespace warren::storage
