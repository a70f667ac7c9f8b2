// SPDX-License-Identifier: Apache-2.0
// The shared bodies (shared_bodies.h) that were read and are in memory still, by name: the logs
// that refer to a body share one block of it here as they share one record on disk. Keeps nothing
// alive by itself.
#pragma once

#include <memory>
#include <mutex>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/base/block.h"
#include "storage/base/ids.h"

namespace warren::storage {

// Bound: what others hold. Thread safety: any thread.
class SharedBlocks final : public BlockKeeper, public std::enable_shared_from_this<SharedBlocks> {
 public:
  // Null when nobody has it.
  BlockRef find(const BodyId& name);
  // A block with these bytes, from now on to be found; the one that somebody else added meanwhile.
  BlockRef add(const BodyId& name, Bytes bytes);

  std::size_t size() const;

 private:
  struct Hash {
    std::size_t operator()(const BodyId& name) const;
  };

  void on_unreferenced(const BodyId& name, const Block& block) override;
  BlockRef find_locked(const BodyId& name);

  mutable std::mutex mutex_;
  boost::unordered_flat_map<BodyId, Block*, Hash> blocks_;  // guarded by mutex_
};

}  // namespace warren::storage
