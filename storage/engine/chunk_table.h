// SPDX-License-Identifier: Apache-2.0
// Which messages of which chunks are settled, for the chunks whose messages the queue holds in
// memory. Pure bookkeeping: no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <boost/container/deque.hpp>

#include "storage/base/ids.h"
#include "storage/record/ack_set.h"
#include "storage/record/chunk_writer.h"

namespace warren::storage {

struct ChunkMeta {
  Seq base = 0;
  Seq last = 0;
  AckSet acks;
  std::vector<std::uint32_t> deltas;  // seq - base per entry; empty when the seqs are dense
  std::vector<BodyId> bodies;         // that it refers to, one per reference
  bool dirty = false;                 // settled entries that no commit carries yet
  bool acks_stored = false;           // an ack set was written, or may have been

  bool live() const { return !acks.all(); }
  // The entry that holds `seq`.
  std::optional<std::uint32_t> index_of(Seq seq) const;
};

ChunkMeta make_chunk_meta(std::span<const ChunkEntry> entries);

// Chunks in order of their base seq; their ranges do not overlap. Settling in order costs O(1) per
// message. Bound: the messages its queue holds in memory.
class ChunkTable {
 public:
  struct Found {
    ChunkMeta* chunk = nullptr;  // valid until the table changes
    std::uint32_t index = 0;
  };

  void insert(ChunkMeta chunk);
  // Nothing is found when no live chunk has an entry `seq`.
  Found find(Seq seq);
  // The live chunk that starts at `base`, or nullptr.
  ChunkMeta* at_base(Seq base);
  // Is it one of this table's?
  bool holds(const ChunkMeta& chunk) const;
  // All entries of `chunk` are settled: it is forgotten, now or later.
  // REQUIRES: !chunk.live(), and it was live until this settle.
  void bury(const ChunkMeta& chunk);
  // Forgets the chunks of [from, to). REQUIRES: no chunk straddles a limit or is dirty.
  void release(Seq from, Seq to);

  bool any_live(Seq first, Seq last) const;
  // How many entries are not settled. O(chunks).
  std::uint64_t live_entries() const;
  // The base of the first live chunk.
  std::optional<Seq> first_base() const;
  bool empty() const { return chunks_.size() == buried_; }

 private:
  // The last chunk whose base is at most `seq`, or chunks_.size().
  std::size_t locate(Seq seq) const;

  boost::container::deque<ChunkMeta> chunks_;  // the front is live
  std::size_t buried_ = 0;                     // dead ones among them
  std::size_t hint_ = 0;                       // where find() was lucky last
};

}  // namespace warren::storage
