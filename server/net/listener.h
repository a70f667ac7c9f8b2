// SPDX-License-Identifier: Apache-2.0
// Accepts connections on one address, or on all that a name stands for, and deals them out to the
// shards in turn.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "storage/base/result.h"

#include "server/net/shard_loop.h"

namespace warren::net {

// Runs on: the first shard's thread, but for open(). Owned by: server/app.
class Listener {
 public:
  explicit Listener(std::vector<ShardLoop*> loops);

  // Resolves, binds and listens. Port 0 takes a free port. A name's address that this machine does
  // not have is passed over, as long as there is another.
  Status open(const std::string& host, std::uint16_t port);
  // "address:port" as bound, one or several.
  std::vector<std::string> addresses() const;
  void start();
  void close();

 private:
  struct Socket {
    explicit Socket(boost::asio::io_context& io) : acceptor(io), retry(io) {}
    boost::asio::ip::tcp::acceptor acceptor;
    boost::asio::steady_timer retry;
  };
  boost::system::error_code add(const boost::asio::ip::tcp::endpoint& endpoint, bool one_of_many);
  void accept(Socket& socket);

  std::vector<ShardLoop*> loops_;
  std::vector<std::unique_ptr<Socket>> sockets_;  // one for each address
  std::size_t next_ = 0;
};

}  // namespace warren::net
