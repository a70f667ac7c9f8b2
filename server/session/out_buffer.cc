// SPDX-License-Identifier: Apache-2.0
#include "server/session/out_buffer.h"

#include "storage/base/assert.h"
#include "storage/base/units.h"

namespace warren::session {
namespace {

// A text segment is sealed at this size, so that consuming from the front never moves much.
constexpr std::size_t kTextSealBytes = 256_KiB;
// An emptied buffer keeps no more than this.
constexpr std::size_t kTextKeptBytes = 16_KiB;

}  // namespace

std::string& OutBuffer::text() {
  if (segments_.empty() || segments_.back().block ||
      segments_.back().text.size() >= kTextSealBytes) {
    if (!segments_.empty()) sealed_bytes_ += segments_.back().view().size();
    segments_.emplace_back();
  }
  return segments_.back().text;
}

void OutBuffer::reference(BlockRef block, Bytes bytes) {
  if (!segments_.empty()) sealed_bytes_ += segments_.back().view().size();
  Segment segment;
  segment.block = std::move(block);
  segment.bytes = bytes;
  segments_.push_back(std::move(segment));
}

std::size_t OutBuffer::size() const {
  if (segments_.empty()) return 0;
  return sealed_bytes_ + segments_.back().view().size() - front_offset_;
}

std::size_t OutBuffer::front(Bytes* pieces, std::size_t count) const {
  std::size_t n = 0;
  for (const Segment& segment : segments_) {
    if (n == count) break;
    Bytes view = segment.view();
    if (n == 0) view.remove_prefix(front_offset_);
    if (!view.empty() || n > 0) pieces[n++] = view;
  }
  return n;
}

void OutBuffer::consume(std::size_t n) {
  WARREN_ASSERT(n <= size());
  front_offset_ += n;
  while (!segments_.empty() && front_offset_ >= segments_.front().view().size()) {
    const std::size_t front_size = segments_.front().view().size();
    front_offset_ -= front_size;
    if (segments_.size() == 1) {
      // Keep a small text to append to; its memory is reused.
      Segment& last = segments_.front();
      last.block.reset();
      last.bytes = {};
      last.text.clear();
      if (last.text.capacity() > kTextKeptBytes) last.text = std::string();
      break;
    }
    sealed_bytes_ -= front_size;
    segments_.pop_front();
  }
}

}  // namespace warren::session
