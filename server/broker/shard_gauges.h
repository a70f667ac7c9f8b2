// SPDX-License-Identifier: Apache-2.0
// What every shard may know about the others, how far behind they are, and about the disk. The only
// memory that shards share. Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "storage/base/ids.h"

namespace warren::broker {

class ShardGauges {
 public:
  explicit ShardGauges(unsigned shard_count)
      : count_(shard_count), gauges_(std::make_unique<Gauge[]>(shard_count)) {}

  void set_uncommitted(ShardIndex shard, std::uint64_t bytes) {
    gauges_[shard].uncommitted.store(bytes, std::memory_order_relaxed);
  }
  void add_inbound(ShardIndex shard, std::int64_t bytes) {
    gauges_[shard].inbound.fetch_add(bytes, std::memory_order_relaxed);
  }
  // The worst shard's backlog in bytes.
  std::uint64_t backlog() const {
    std::uint64_t worst = 0;
    for (unsigned i = 0; i < count_; ++i) {
      const std::int64_t inbound = gauges_[i].inbound.load(std::memory_order_relaxed);
      const std::uint64_t total = gauges_[i].uncommitted.load(std::memory_order_relaxed) +
                                  static_cast<std::uint64_t>(inbound > 0 ? inbound : 0);
      if (total > worst) worst = total;
    }
    return worst;
  }

  // Written by the control shard: every shard knows the changes of operations up to this one.
  void set_known_everywhere(std::uint64_t operation) {
    known_everywhere_.store(operation, std::memory_order_release);
  }
  std::uint64_t known_everywhere() const {
    return known_everywhere_.load(std::memory_order_acquire);
  }

  // Written by whoever watches the disk.
  void set_disk(std::uint64_t free_bytes, bool alarm) {
    disk_free_.store(free_bytes, std::memory_order_relaxed);
    disk_alarm_.store(alarm, std::memory_order_relaxed);
  }
  std::uint64_t disk_free_bytes() const { return disk_free_.load(std::memory_order_relaxed); }
  bool disk_alarm() const { return disk_alarm_.load(std::memory_order_relaxed); }

 private:
  struct alignas(64) Gauge {
    std::atomic<std::uint64_t> uncommitted{0};
    std::atomic<std::int64_t> inbound{0};  // published bytes on the way to the shard
  };
  std::atomic<std::uint64_t> known_everywhere_{0};
  std::atomic<std::uint64_t> disk_free_{0};
  std::atomic<bool> disk_alarm_{false};
  unsigned count_;
  std::unique_ptr<Gauge[]> gauges_;
};

}  // namespace warren::broker
