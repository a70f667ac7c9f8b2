// SPDX-License-Identifier: Apache-2.0
// The thread of one shard: readiness of sockets, messages of other shards, completions of the
// store, then one turn of the broker, then the sockets are written. Everything of the shard happens
// on this thread.
// Sockets that are ready are read between two turns: those that do not publish, then publishers, by
// turns, until enough was read for one turn, or somebody else is ready. Consumers and requests do
// not wait for publishers, however many these are.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "storage/base/executor.h"

#include "server/broker/broker_shard.h"
#include "server/net/connection.h"
#include "server/net/mailbox.h"
#include "server/session/connection_session.h"

namespace warren::net {

struct ShardLoopParts {
  broker::BrokerShard* broker = nullptr;  // all borrowed
  const auth::UserStore* users = nullptr;
  const session::SessionLimits* limits = nullptr;
  const Clock* clock = nullptr;
  std::uint64_t random_seed = 0;
};

// Owned by: server/app. Bound: connections, by the system's file descriptors.
class ShardLoop final : public Executor {
 public:
  ShardLoop();
  ~ShardLoop() override;

  // Before start().
  void set_parts(const ShardLoopParts& parts);
  void start();
  // Stops the loop and waits for the thread.
  void stop();

  boost::asio::io_context& io() { return io_; }
  Mailbox& mailbox() { return mailbox_; }
  // Thread safety: any thread.
  void post(std::function<void()> function) override;
  void wake();
  // Runs on the shard's thread and waits until it has run. REQUIRES: not called from a shard's
  // thread; started.
  void run_and_wait(std::function<void()> function);

  // ---- on the shard's thread ----
  void adopt(boost::asio::ip::tcp::socket socket);
  // Refuses new connections and closes those that are there: connection.close 320 (conformance
  // rule 68).
  void close_connections(std::string_view reason);

  // Ready once close_connections() was called and the last connection is gone. Once; any thread.
  std::future<void> all_gone() { return all_gone_.get_future(); }

 private:
  friend class Connection;
  friend class ShardLoopTestPeer;

  // For connections.
  void read_later(Connection& connection) {
    (connection.publishes() ? ready_publishers_ : ready_).push_back(connection.shared_from_this());
  }
  void flush_later(Connection& connection) { to_flush_.push_back(connection.shared_from_this()); }
  void feed_later(Connection& connection) { to_feed_.push_back(connection.shared_from_this()); }
  void throttle(Connection& connection) { throttled_.push_back(connection.shared_from_this()); }
  void hold(Connection& connection) { held_.push_back(connection.shared_from_this()); }
  void drop(Connection& connection);
  std::vector<char>& read_buffer() { return read_buffer_; }

  void run();
  Instant turn();
  void wait(Instant until);
  void run_ready_handlers();
  void read_ready();
  bool read_others();
  bool read_publishers();
  static void read_next(std::deque<std::shared_ptr<Connection>>& ready, std::size_t share,
                        std::size_t& input);
  void resume_throttled();
  void arm_tick();
  void on_tick();

  ShardLoopParts parts_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> keep_running_;
  boost::asio::steady_timer tick_;
  Mailbox mailbox_;
  std::mt19937_64 random_;
  std::vector<char> read_buffer_;
  // Read since the last turn, of publishers and of the others.
  std::size_t publisher_input_ = 0;
  std::size_t other_input_ = 0;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  // Have something to be read, the first ones for the longest time.
  std::deque<std::shared_ptr<Connection>> ready_;
  std::deque<std::shared_ptr<Connection>> ready_publishers_;
  std::vector<std::shared_ptr<Connection>> to_flush_;
  std::vector<std::shared_ptr<Connection>> to_feed_;
  std::vector<std::shared_ptr<Connection>> throttled_;  // while the broker is overloaded
  std::vector<std::shared_ptr<Connection>> held_;       // while a queue wants them to wait
  std::uint64_t releases_ = 0;                          // of the broker, when held_ was looked at
  std::promise<void> all_gone_;
  bool closing_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace warren::net
