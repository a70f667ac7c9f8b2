// SPDX-License-Identifier: Apache-2.0
// Unpacks a chunk. Nothing of it is given out before its checksum was verified (S7).
// Layout: chunk_format.h.
#pragma once

#include <cstdint>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/record/chunk_writer.h"

namespace warren::storage {

// Borrows the chunk's bytes.
class ChunkReader {
 public:
  // Errc::corruption names what does not fit; Errc::format_too_new for a newer version whose
  // checksum is good.
  static Result<ChunkReader> open(Bytes chunk);

  LogId log() const { return log_; }
  Seq first() const { return first_; }
  Seq last() const { return last_; }
  std::uint32_t count() const { return count_; }
  std::uint64_t payload_bytes() const { return payload_.size(); }

  // REQUIRES: index < count().
  ChunkEntry entry(std::uint32_t index) const;

 private:
  ChunkReader() = default;
  bool index_is_sound() const;

  LogId log_;
  Seq first_ = 0;
  Seq last_ = 0;
  std::uint32_t count_ = 0;
  Bytes index_;
  Bytes payload_;
};

// How many entries a damaged chunk says it has, if that is credible; else 1. For counting losses.
std::uint64_t damaged_entry_count(Bytes chunk);

}  // namespace warren::storage
