// SPDX-License-Identifier: Apache-2.0
#include "storage/engine/shared_blocks.h"

#include <boost/container_hash/hash.hpp>

namespace warren::storage {

std::size_t SharedBlocks::Hash::operator()(const BodyId& name) const {
  std::size_t seed = 0;
  boost::hash_combine(seed, name.origin);
  boost::hash_combine(seed, name.number);
  return seed;
}

BlockRef SharedBlocks::find_locked(const BodyId& name) {
  const auto at = blocks_.find(name);
  // One that is just ending waits for the lock to take itself off the list: its memory is there.
  return at == blocks_.end() ? nullptr : Block::refer_if_alive(*at->second);
}

BlockRef SharedBlocks::find(const BodyId& name) {
  const std::lock_guard lock(mutex_);
  return find_locked(name);
}

BlockRef SharedBlocks::add(const BodyId& name, Bytes bytes) {
  // Before the lock: if it is not wanted, it ends after the lock is free.
  BlockRef made = Block::copy_named(bytes, shared_from_this(), name);
  const std::lock_guard lock(mutex_);
  if (BlockRef there = find_locked(name)) return there;
  blocks_.insert_or_assign(name, made.get());
  return made;
}

void SharedBlocks::on_unreferenced(const BodyId& name, const Block& block) {
  const std::lock_guard lock(mutex_);
  const auto at = blocks_.find(name);
  if (at != blocks_.end() && at->second == &block) blocks_.erase(at);
}

std::size_t SharedBlocks::size() const {
  const std::lock_guard lock(mutex_);
  return blocks_.size();
}

}  // namespace warren::storage
