// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/chunk_table.h"

#include <algorithm>
#include <utility>

#include "storage/base/assert.h"

namespace warren::storage {
namespace {

// Dead chunks in the middle are swept together, when they are many and the majority.
constexpr std::size_t kSweepAt = 32;

bool base_below(const ChunkMeta& chunk, Seq seq) {
  return chunk.base < seq;
}

}  // namespace

std::optional<std::uint32_t> ChunkMeta::index_of(Seq seq) const {
  if (seq < base || seq > last) return std::nullopt;
  const auto delta = static_cast<std::uint32_t>(seq - base);
  if (deltas.empty()) return delta;
  const auto at = std::ranges::lower_bound(deltas, delta);
  if (at == deltas.end() || *at != delta) return std::nullopt;
  return static_cast<std::uint32_t>(at - deltas.begin());
}

ChunkMeta make_chunk_meta(std::span<const ChunkEntry> entries) {
  WARREN_ASSERT(!entries.empty());
  ChunkMeta chunk;
  chunk.base = entries.front().seq;
  chunk.last = entries.back().seq;
  chunk.acks = AckSet(static_cast<std::uint32_t>(entries.size()));
  const bool dense = chunk.last - chunk.base + 1 == entries.size();
  if (!dense) {
    chunk.deltas.reserve(entries.size());
    for (const ChunkEntry& entry : entries) {
      chunk.deltas.push_back(static_cast<std::uint32_t>(entry.seq - chunk.base));
    }
  }
  return chunk;
}

void ChunkTable::insert(ChunkMeta chunk) {
  WARREN_ASSERT(chunk.live());
  if (chunks_.empty() || chunks_.back().last < chunk.base) {
    chunks_.push_back(std::move(chunk));
    return;
  }
  const auto at = std::lower_bound(chunks_.begin(), chunks_.end(), chunk.base, base_below);
  WARREN_ASSERT(at == chunks_.end() || chunk.last < at->base);
  WARREN_ASSERT(at == chunks_.begin() || std::prev(at)->last < chunk.base);
  const auto position = static_cast<std::size_t>(at - chunks_.begin());
  if (position <= hint_) ++hint_;
  chunks_.insert(at, std::move(chunk));
}

std::size_t ChunkTable::locate(Seq seq) const {
  const auto above = std::upper_bound(chunks_.begin(), chunks_.end(), seq,
                                      [](Seq s, const ChunkMeta& chunk) { return s < chunk.base; });
  if (above == chunks_.begin()) return chunks_.size();
  return static_cast<std::size_t>(above - chunks_.begin()) - 1;
}

ChunkTable::Found ChunkTable::find(Seq seq) {
  std::size_t at = hint_;
  if (at < chunks_.size() && seq > chunks_[at].last) ++at;
  if (at >= chunks_.size() || seq < chunks_[at].base || seq > chunks_[at].last) at = locate(seq);
  if (at >= chunks_.size()) return {};
  hint_ = at;
  ChunkMeta& chunk = chunks_[at];
  const auto index = chunk.index_of(seq);
  if (!index.has_value() || !chunk.live()) return {};
  return {&chunk, *index};
}

ChunkMeta* ChunkTable::at_base(Seq base) {
  const std::size_t at = locate(base);
  if (at >= chunks_.size() || chunks_[at].base != base || !chunks_[at].live()) return nullptr;
  return &chunks_[at];
}

bool ChunkTable::holds(const ChunkMeta& chunk) const {
  const std::size_t at = locate(chunk.base);
  return at < chunks_.size() && &chunks_[at] == &chunk;
}

void ChunkTable::bury(const ChunkMeta& chunk) {
  WARREN_ASSERT(!chunk.live());
  ++buried_;
  while (!chunks_.empty() && !chunks_.front().live()) {
    chunks_.pop_front();
    --buried_;
    if (hint_ > 0) --hint_;
  }
  if (buried_ < kSweepAt || buried_ * 2 < chunks_.size()) return;
  const auto dead = std::remove_if(chunks_.begin(), chunks_.end(),
                                   [](const ChunkMeta& chunk) { return !chunk.live(); });
  chunks_.erase(dead, chunks_.end());
  buried_ = 0;
  hint_ = 0;
}

void ChunkTable::release(Seq from, Seq to) {
  const auto begin = std::lower_bound(chunks_.begin(), chunks_.end(), from, base_below);
  const auto end = std::lower_bound(begin, chunks_.end(), to, base_below);
  if (begin == end) return;
  WARREN_ASSERT(begin == chunks_.begin() || std::prev(begin)->last < from);
  WARREN_ASSERT(std::prev(end)->last < to);
  for (auto at = begin; at != end; ++at) {
    WARREN_ASSERT(!at->dirty);
    if (!at->live()) --buried_;
  }
  chunks_.erase(begin, end);
  while (!chunks_.empty() && !chunks_.front().live()) {
    chunks_.pop_front();
    --buried_;
  }
  hint_ = 0;
}

bool ChunkTable::any_live(Seq first, Seq last) const {
  auto at = std::lower_bound(chunks_.begin(), chunks_.end(), first, base_below);
  if (at != chunks_.begin() && std::prev(at)->last >= first) --at;
  for (; at != chunks_.end() && at->base <= last; ++at) {
    if (at->live()) return true;
  }
  return false;
}

std::uint64_t ChunkTable::live_entries() const {
  std::uint64_t live = 0;
  for (const ChunkMeta& chunk : chunks_) live += chunk.acks.count() - chunk.acks.settled();
  return live;
}

std::optional<Seq> ChunkTable::first_base() const {
  if (chunks_.empty()) return std::nullopt;
  return chunks_.front().base;
}

}  // namespace warren::storage
