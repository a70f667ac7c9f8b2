// SPDX-License-Identifier: Apache-2.0
// Unpacks a chunk. Nothing of it is given out before its checksum was verified (S7).
// Layout: chunk_format.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/record/body_record.h"
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

  // Of a shared entry the block is the encoded reference. REQUIRES: index < count().
  ChunkEntry entry(std::uint32_t index) const;

  // Does some entry refer to a body that is stored elsewhere?
  bool has_shared() const { return shared_; }
  // Where the block of this entry is, unless it is in the chunk. REQUIRES: index < count().
  std::optional<BodyRef> shared(std::uint32_t index) const;
  // The size of the block, wherever it is stored. REQUIRES: index < count().
  std::uint64_t block_bytes(std::uint32_t index) const;
  // The bodies that the chunk refers to, one per shared entry.
  std::vector<BodyId> bodies() const;

 private:
  ChunkReader() = default;
  bool index_is_sound() const;
  std::uint32_t end_of(std::uint32_t index) const;
  bool is_shared(std::uint32_t index) const;

  LogId log_;
  Seq first_ = 0;
  Seq last_ = 0;
  std::uint32_t count_ = 0;
  bool shared_ = false;  // version 2
  Bytes index_;
  Bytes payload_;
};

// How many entries a damaged chunk says it has, if that is credible; else 1. For counting losses.
std::uint64_t damaged_entry_count(Bytes chunk);

}  // namespace warren::storage
