// SPDX-License-Identifier: Apache-2.0
// Accepts connections on one address and deals them out to the shards in turn.
#pragma once

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

  // Resolves, binds and listens. Port 0 takes a free port.
  Status open(const std::string& host, std::uint16_t port);
  // "address:port" as bound.
  std::string address() const;
  void start();
  void close();

 private:
  void accept();

  std::vector<ShardLoop*> loops_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::size_t next_ = 0;
};

}  // namespace warren::net
