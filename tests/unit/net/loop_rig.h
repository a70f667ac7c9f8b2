// SPDX-License-Identifier: Apache-2.0
// A shard's loop, run by hand, on real sockets of loopback. The broker behind it is simulated: time
// stands still and nothing is committed unless a test says so.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gtest/gtest.h>

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

 private:
  ShardLoop& loop_;
};

}  // namespace warren::net

namespace warren::test {

// The other end of a connection.
class LoopClient {
 public:
  explicit LoopClient(boost::asio::ip::tcp::socket socket);

  template <class Method>
  void send(std::uint16_t channel, const Method& method) {
    amqp::append_method_frame(unsent_, channel, method);
  }
  void send_handshake();
  void declare(const std::string& queue, bool passive = false);
  void publish(const std::string& queue, std::size_t body_bytes, bool persistent = false);
  // Gives the system what it takes.
  void write();
  // Methods that came back, without contents.
  void read();
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
  boost::asio::ip::tcp::socket socket_;
  std::string unsent_;
  std::string unread_;
  std::vector<Received> received_;
};

class LoopRig : public ::testing::Test {
 protected:
  LoopRig() : LoopRig(SimOptions()) {}
  explicit LoopRig(SimOptions options);

  // A channel is open on it.
  LoopClient& connect();
  void declare(LoopClient& client, const std::string& queue);
  void step() { peer_.step(); }
  void steps(int count) {
    for (int i = 0; i < count; ++i) step();
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
