// SPDX-License-Identifier: Apache-2.0
// A shard's loop, run by hand, on real sockets of loopback. The broker behind it is simulated: time
// stands still and nothing is committed unless a test says so.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gtest/gtest.h>

#include "storage/base/files.h"

#include "server/amqp/gen/any_method.gen.h"
#include "server/net/shard_loop.h"

#include "tests/support/sim_broker.h"

namespace warren::net {

class ShardLoopTestPeer {
 public:
  explicit ShardLoopTestPeer(ShardLoop& loop) : loop_(loop) {}
  // What is ready now is read, as much as between two turns, and the turn that follows.
  void step() {
    loop_.wait(Instant::min());
    loop_.turn();
  }
  // Who is ready is known, nobody is read.
  void look() { loop_.run_ready_handlers(); }
  void tick() { loop_.on_tick(); }
  void close_connections() { loop_.close_connections("it is over"); }

 private:
  ShardLoop& loop_;
};

}  // namespace warren::net

namespace warren::test {

// The other end of a connection.
class LoopClient {
 public:
  // Of `broker_end`, which it closes, it only looks how much is unread.
  LoopClient(boost::asio::ip::tcp::socket socket, int broker_end);

  template <class Method>
  void send(std::uint16_t channel, const Method& method) {
    amqp::append_method_frame(unsent_, channel, method);
  }
  void send_handshake(std::uint16_t heartbeat_s);
  void send_heartbeats(int count);
  void declare(const std::string& queue, bool passive = false);
  void publish(const std::string& queue, std::size_t body_bytes, bool persistent = false);
  // Gives the system what it takes, and waits until the broker's end has it, as far as there is
  // room.
  void write();
  // Methods that came back, without contents.
  void read();
  // Until so many came back in all; false: they do not.
  bool receive(std::size_t count);
  // Nothing more comes back.
  bool sees_end() const { return ended_; }
  // Hangs up with what was written unread.
  void reset();

  std::size_t unsent() const { return unsent_.size(); }
  template <class Method>
  const Method* last() const {
    return received_.empty() ? nullptr : std::get_if<Method>(&received_.back().method);
  }
  std::size_t received_count() const { return received_.size(); }
  // The names of the methods that came back, the last one at the end.
  std::string history() const;

 private:
  struct Received {
    std::unique_ptr<std::string> payload;
    amqp::AnyMethod method;
  };
  int arrived() const;

  boost::asio::ip::tcp::socket socket_;
  FileDescriptor broker_end_;
  std::string unsent_;
  std::string unread_;
  bool ended_ = false;
  std::vector<Received> received_;
};

class LoopRig : public ::testing::Test {
 protected:
  LoopRig() : LoopRig(SimOptions()) {}
  explicit LoopRig(SimOptions options);

  // A channel is open on it.
  LoopClient& connect(std::uint16_t heartbeat_s = 0);
  void declare(LoopClient& client, const std::string& queue);
  void step() { peer_.step(); }
  void steps(int count) {
    for (int i = 0; i < count; ++i) step();
  }
  // For some seconds at most, and the clients are read meanwhile; false: it never was.
  template <class Condition>
  bool step_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < end) {
      step();
      for (const auto& client : clients_) client->read();
      if (condition()) return true;
    }
    return false;
  }
  // Ready messages; of the sockets nothing is read meanwhile.
  static std::uint32_t depth(SimClient& client, const std::string& queue);

  SimBroker broker_;
  boost::asio::io_context clients_io_;
  net::ShardLoop loop_;
  net::ShardLoopTestPeer peer_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<std::unique_ptr<LoopClient>> clients_;
};

}  // namespace warren::test
