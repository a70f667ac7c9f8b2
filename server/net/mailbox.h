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
  // True: it was empty, the owner must be woken.
  bool put(std::vector<broker::ShardMessage> batch) {
    const std::lock_guard lock(mutex_);
    const bool was_empty = messages_.empty();
    if (was_empty) {
      messages_ = std::move(batch);
    } else {
      for (broker::ShardMessage& message : batch) messages_.push_back(std::move(message));
    }
    full_.store(true, std::memory_order_release);
    return was_empty;
  }

  std::vector<broker::ShardMessage> take() {
    if (!full_.load(std::memory_order_acquire)) return {};
    const std::lock_guard lock(mutex_);
    full_.store(false, std::memory_order_relaxed);
    std::vector<broker::ShardMessage> all;
    all.swap(messages_);
    return all;
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> full_{false};
  std::vector<broker::ShardMessage> messages_;  // guarded by mutex_
};

}  // namespace warren::net
