// SPDX-License-Identifier: Apache-2.0
// What other shards left for one shard. One lock per batch; the reader is woken only when the
// mailbox was empty. Thread safety: put() from any thread, take() from the owner.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "server/broker/shard_messages.h"

namespace warren::net {

class Mailbox {
 public:
  struct Batch {
    ShardIndex from = 0;
    std::vector<broker::ShardMessage> messages;
  };

  // True: it was empty, the owner must be woken. Batches of one sender keep their order.
  bool put(ShardIndex from, std::vector<broker::ShardMessage> messages) {
    const std::lock_guard lock(mutex_);
    const bool was_empty = batches_.empty();
    batches_.push_back({from, std::move(messages)});
    full_.store(true, std::memory_order_release);
    return was_empty;
  }

  std::vector<Batch> take() {
    if (!full_.load(std::memory_order_acquire)) return {};
    const std::lock_guard lock(mutex_);
    full_.store(false, std::memory_order_relaxed);
    std::vector<Batch> all;
    all.swap(batches_);
    return all;
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> full_{false};
  std::vector<Batch> batches_;  // guarded by mutex_
};

}  // namespace warren::net
