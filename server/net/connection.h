// SPDX-License-Identifier: Apache-2.0
// One socket and the session that talks through it. Moves bytes, understands none.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

#include "server/session/connection_session.h"

namespace warren::net {

class ShardLoop;

// Runs on: its shard. Owned by: ShardLoop, and by the handlers that are under way.
// Bound: one frame of input that is not complete, the session's output.
class Connection final : public session::SessionHost,
                         public std::enable_shared_from_this<Connection> {
 public:
  // Null: the peer is gone already.
  static std::shared_ptr<Connection> create(ShardLoop& loop, boost::asio::ip::tcp::socket socket);
  Connection(ShardLoop& loop, boost::asio::ip::tcp::socket socket, session::SessionParts parts);

  void start();
  // After read_later(): takes what the socket has, up to `bytes_max`. Returns how much it was.
  std::size_t read(std::size_t bytes_max);
  bool publishes() const { return session_.publishes(); }
  // Writes what the session has, as far as the socket takes it.
  void flush();
  // Offers the session its input again, then goes on reading.
  void feed();
  void unthrottle();
  void on_tick(Instant now);
  void force_close(std::string_view reason);

  // SessionHost
  void output_ready() override;
  void input_ready() override;

 private:
  void wait_readable();
  void wait_writable();
  std::size_t take_input(std::size_t bytes_max);
  bool overloads() const;
  bool waits_for_others();
  void offer(Bytes in, bool in_rest);
  void after_input();
  void on_peer_gone();
  void begin_linger();
  std::size_t discard_input(std::size_t bytes_max);
  void close_socket();

  ShardLoop& loop_;
  boost::asio::ip::tcp::socket socket_;
  session::ConnectionSession session_;
  std::string
      rest_;  // input that the session has not consumed: less than a frame, unless it is suspended
  bool waiting_read_ = false;  // until read(), or the end
  bool queued_ = false;        // has something to be read, waits for its turn
  bool waiting_write_ = false;
  bool throttled_ = false;
  bool feeding_ = false;    // feed() is scheduled
  bool lingering_ = false;  // said everything, waits for the peer to hang up
  bool gone_ = false;
  Instant linger_until_;
};

}  // namespace warren::net
