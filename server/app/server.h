// SPDX-License-Identifier: Apache-2.0
// The broker put together: store, shards, listeners. Only wiring, no logic of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/engine/store.h"

#include "server/auth/user_store.h"
#include "server/broker/broker_shard.h"
#include "server/broker/disk_alarm.h"
#include "server/broker/shard_gauges.h"
#include "server/config/config.h"
#include "server/net/listener.h"
#include "server/net/shard_loop.h"
#include "server/net/thread_link.h"

namespace warren::app {

// Runs on: the main thread. Members die in reverse order: sockets before the broker, the broker
// before the store.
class Server {
 public:
  explicit Server(const config::Config& config);
  ~Server();

  // Opens the data directory and recovers: exit code 3 when it cannot.
  Status open_store();
  // Binds the listeners: exit code 4 when it cannot. Clients are not served before run().
  Status listen();
  // Serves. Returns the addresses, for the log.
  std::vector<std::string> start();
  // Looks at the free space of the data directory; raises or clears the alarm that blocks
  // publishers. Returns how soon to come again.
  Duration watch_disk();
  // connection.close 320 to every client, everything said is committed, the store is closed.
  Status stop();

 private:
  struct Shard {
    auth::UserStore users;
    std::unique_ptr<broker::BrokerShard> broker;
  };

  void load();
  void bootstrap(std::vector<storage::Definition>& definitions);
  void make_shards();
  void bring_to_rest();

  const config::Config config_;
  SystemClock clock_;
  session::SessionLimits limits_;
  std::unique_ptr<storage::Store> store_;
  broker::ShardGauges gauges_;
  broker::DiskAlarm disk_alarm_;
  bool disk_unknown_ = false;  // said in the log
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<net::ShardLoop>> loops_;
  std::unique_ptr<net::ThreadLink> link_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  bool running_ = false;
};

}  // namespace warren::app
