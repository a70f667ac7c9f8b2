// SPDX-License-Identifier: Apache-2.0
// An immutable, reference-counted run of bytes: one message, allocated once, shared by queues,
// channels and the committer. What the bytes mean is the owner's business
// (server/broker/message.h). Thread safety: the bytes are written before the block is shared and
// never after; the count is atomic.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"

namespace warren {

class Block;
using BlockRef = boost::intrusive_ptr<Block>;

// Hears when the blocks that were made with a name (Block::create_named) end.
class BlockKeeper {
 public:
  virtual ~BlockKeeper() = default;
  // Nobody refers to the block any more; its memory goes after this call. Thread safety: any
  // thread.
  virtual void on_unreferenced(const BodyId& name, const Block& block) = 0;
};

class Block {
 public:
  // A block of `size` bytes, not initialised: the creator fills data() before it shares the block.
  static BlockRef create(std::size_t size);
  static BlockRef copy_of(Bytes bytes);
  // Likewise; `keeper` is told of its end.
  static BlockRef copy_named(Bytes bytes, std::shared_ptr<BlockKeeper> keeper, const BodyId& name);
  // One more reference, unless the last one is gone. REQUIRES: the memory is still there.
  static BlockRef refer_if_alive(Block& block);

  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  std::size_t size() const { return size_; }
  Bytes bytes() const { return Bytes(data(), size_); }

 private:
  struct Named;  // in front of a block that has a name

  explicit Block(std::size_t size) : size_(size) {}
  ~Block() = default;
  static void destroy(Block* block);

  friend void intrusive_ptr_add_ref(Block* block) {
    block->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(Block* block) {
    if (block->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(block);
  }

  std::atomic<std::uint32_t> refs_{0};
  bool named_ = false;
  std::size_t size_;
};

}  // namespace warren
