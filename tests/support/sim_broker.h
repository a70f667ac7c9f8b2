// SPDX-License-Identifier: Apache-2.0
// The whole broker in one thread: shards, sessions and engine over a disk in memory that can lose
// power. Nothing happens but in step() and settle(), so a run is decided by its seed alone.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/base/executor.h"
#include "storage/engine/store_impl.h"
#include "storage/kv/memory_store.h"

#include "server/auth/user_store.h"
#include "server/broker/broker_shard.h"
#include "server/broker/shard_gauges.h"
#include "server/session/session_limits.h"

#include "tests/support/manual_clock.h"

namespace warren::test {

class SimClient;

struct SimOptions {
  unsigned shards = 1;
  std::uint64_t seed = 1;
  broker::BrokerLimits broker_limits;
  session::SessionLimits session_limits;
  storage::StoreOptions store_options;  // directory and shard_count are not used
  // settle() leaves commits alone: the test calls commit().
  bool manual_commit = false;
};

class SimBroker {
 public:
  explicit SimBroker(SimOptions options = {});
  ~SimBroker();
  SimBroker(const SimBroker&) = delete;
  SimBroker& operator=(const SimBroker&) = delete;

  // A client with its handshake done and channel 1 open.
  SimClient& connect(ShardIndex shard = 0);
  // A client that has said nothing yet.
  SimClient& connect_raw(ShardIndex shard = 0);
  // The client's socket vanishes.
  void disconnect(SimClient& client);

  // Runs until nothing happens any more; time stands still but for the store's idle delay.
  void settle();
  // One thing of all that could happen next, drawn from the seed: a commit, a read, or a turn of a
  // shard that gets a part of what waits for it. False: nothing came of it.
  bool step();
  // Called after each turn of a shard: whoever watches the clients sees them in order. It may
  // disconnect some.
  std::function<void()> after_turn;
  // One commit of the store, if there is one to do.
  bool commit();
  // One read of the store, if there is one to do.
  bool read() { return store_->step_read(); }
  void advance(Duration by);

  // Power loss: what was not synced is gone, and so is every client.
  void crash();
  // SIGTERM: everything is committed, clients are gone.
  void stop();
  // After crash() or stop(): a new broker on the same disk.
  void start();

  ManualClock& clock() { return clock_; }
  storage::MemoryDisk& disk() { return *disk_; }
  std::shared_ptr<storage::MemoryDisk> shared_disk() { return disk_; }
  broker::BrokerShard& shard(ShardIndex index) { return *shards_[index]->broker; }
  // As the broker's process does when the disk runs full.
  void set_disk_alarm(bool alarm) { gauges_->set_disk(0, alarm); }
  // Bytes published that some shard is behind with.
  std::uint64_t backlog() const { return gauges_->backlog(); }
  const SimOptions& options() const { return options_; }
  std::mt19937_64& random() { return random_; }
  const auth::UserStore& users(ShardIndex index) const { return shards_[index]->users; }

 private:
  struct Link;
  struct StepExecutor final : Executor {
    void post(std::function<void()> function) override { queue.push_back(std::move(function)); }
    std::deque<std::function<void()>> queue;
  };
  struct Shard {
    auth::UserStore users;
    StepExecutor executor;
    std::vector<std::deque<std::vector<broker::ShardMessage>>> inboxes;  // by sender: FIFO per pair
    std::unique_ptr<broker::BrokerShard> broker;
  };

  void load();
  // `partial`: only a part of what waits for the shard, drawn from the seed.
  bool run_shard(ShardIndex index, bool partial);
  std::size_t draw_part(std::size_t whole, bool partial);
  void drop_clients();

  SimOptions options_;
  std::mt19937_64 random_;
  ManualClock clock_;
  std::shared_ptr<storage::MemoryDisk> disk_;
  std::unique_ptr<storage::StoreImpl> store_;
  std::unique_ptr<broker::ShardGauges> gauges_;
  std::unique_ptr<Link> link_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<SimClient>> clients_;
};

}  // namespace warren::test
