// SPDX-License-Identifier: Apache-2.0
#include "storage/base/block.h"

#include <new>
#include <utility>

namespace warren {

struct alignas(Block) Block::Named {
  std::shared_ptr<BlockKeeper> keeper;
  BodyId name;
};

BlockRef Block::create(std::size_t size) {
  void* const memory = ::operator new(sizeof(Block) + size);
  return BlockRef(::new (memory) Block(size));
}

BlockRef Block::copy_of(Bytes bytes) {
  BlockRef block = create(bytes.size());
  if (!bytes.empty()) std::memcpy(block->data(), bytes.data(), bytes.size());
  return block;
}

BlockRef Block::copy_named(Bytes bytes, std::shared_ptr<BlockKeeper> keeper, const BodyId& name) {
  static_assert(sizeof(Named) % alignof(Block) == 0);
  void* const memory = ::operator new(sizeof(Named) + sizeof(Block) + bytes.size());
  auto* const named = ::new (memory) Named{std::move(keeper), name};
  BlockRef block(::new (named + 1) Block(bytes.size()));
  block->named_ = true;
  if (!bytes.empty()) std::memcpy(block->data(), bytes.data(), bytes.size());
  return block;
}

BlockRef Block::refer_if_alive(Block& block) {
  std::uint32_t refs = block.refs_.load(std::memory_order_relaxed);
  while (refs != 0) {
    if (block.refs_.compare_exchange_weak(refs, refs + 1, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      return BlockRef(&block, false);  // counted above
    }
  }
  return nullptr;
}

void Block::destroy(Block* block) {
  if (block->named_) {
    Named* const named = reinterpret_cast<Named*>(block) - 1;
    named->keeper->on_unreferenced(named->name, *block);
    block->~Block();
    named->~Named();
    ::operator delete(named);
    return;
  }
  block->~Block();
  ::operator delete(block);
}

}  // namespace warren
