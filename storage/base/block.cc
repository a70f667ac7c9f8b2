// SPDX-License-Identifier: Apache-2.0
#include "storage/base/block.h"

#include <new>

namespace warren {

BlockRef Block::create(std::size_t size) {
  void* const memory = ::operator new(sizeof(Block) + size);
  return BlockRef(::new (memory) Block(size));
}

BlockRef Block::copy_of(Bytes bytes) {
  BlockRef block = create(bytes.size());
  if (!bytes.empty()) std::memcpy(block->data(), bytes.data(), bytes.size());
  return block;
}

void Block::destroy(Block* block) {
  block->~Block();
  ::operator delete(block);
}

}  // namespace warren
