// SPDX-License-Identifier: Apache-2.0
// Bytes on their way to a socket: frames as text, large bodies as references to their block.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "storage/base/block.h"

namespace warren::session {

// Runs on: the connection's shard. Owned by: ConnectionSession. Bound: consumers' windows
// (kConsumerWindowBytes each) and what the peer's own methods ask for.
class OutBuffer {
 public:
  // Where frames are appended. Valid until the next call of another member.
  std::string& text();
  // Appends `bytes`, a part of `block`, without copying it.
  void reference(BlockRef block, Bytes bytes);
  // Call after appending to text(): brings size() up to date.
  std::size_t size() const;
  bool empty() const { return size() == 0; }

  // Up to `count` pieces from the front, for a gathered write. Returns how many.
  std::size_t front(Bytes* pieces, std::size_t count) const;
  // REQUIRES: n <= size().
  void consume(std::size_t n);

 private:
  struct Segment {
    std::string text;
    BlockRef block;
    Bytes bytes;  // of the block
    Bytes view() const { return block ? bytes : Bytes(text); }
  };
  std::deque<Segment> segments_;
  std::size_t sealed_bytes_ = 0;  // of all segments but the last
  std::size_t front_offset_ = 0;  // consumed of the first segment
};

}  // namespace warren::session
