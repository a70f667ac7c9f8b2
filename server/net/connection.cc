// SPDX-License-Identifier: Apache-2.0
#include "server/net/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "storage/base/assert.h"
#include "storage/base/log.h"
#include "storage/base/units.h"

#include "server/net/shard_loop.h"

namespace warren::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kPiecesPerWrite = 64;
// Input added to an incomplete frame per read.
constexpr std::size_t kRestReadBytes = 128_KiB;
// After our last byte the peer gets this long to hang up, so that a reset does not swallow that
// byte.
constexpr auto kLinger = std::chrono::seconds(1);

// A peer without heartbeats, or one that is not read because publishers are blocked, is found dead
// all the same: after a minute of silence the system asks, and gives up a minute later.
void keep_alive(tcp::socket& socket, boost::system::error_code& error) {
  socket.set_option(asio::socket_base::keep_alive(true), error);
  const auto set = [&](int option, int value) {
    if (error) return;
    if (::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof(value)) != 0) {
      error.assign(errno, boost::system::system_category());
    }
  };
  set(TCP_KEEPIDLE, 60);
  set(TCP_KEEPINTVL, 15);
  set(TCP_KEEPCNT, 4);
}

}  // namespace

std::shared_ptr<Connection> Connection::create(ShardLoop& loop, tcp::socket socket) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (!error) socket.set_option(tcp::no_delay(true), error);
  if (!error) keep_alive(socket, error);
  if (!error) socket.non_blocking(true, error);
  if (error) return nullptr;
  session::SessionParts parts;
  parts.broker = loop.parts_.broker;
  parts.users = loop.parts_.users;
  parts.limits = loop.parts_.limits;
  parts.clock = loop.parts_.clock;
  parts.random = &loop.random_;
  parts.peer = fmt::format("{}:{}", peer.address().to_string(), peer.port());
  parts.peer_is_loopback = peer.address().is_loopback();
  return std::make_shared<Connection>(loop, std::move(socket), std::move(parts));
}

Connection::Connection(ShardLoop& loop, tcp::socket socket, session::SessionParts parts)
    : loop_(loop), socket_(std::move(socket)), session_([&] {
        parts.host = this;
        return std::move(parts);
      }()) {}

void Connection::start() {
  wait_readable();
}

// ---- input ----

void Connection::wait_readable() {
  if (waiting_read_ || gone_) return;
  waiting_read_ = true;
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (self->gone_) return;
                       if (error) {
                         self->waiting_read_ = false;
                         return self->on_peer_gone();
                       }
                       self->queued_ = true;
                       self->loop_.read_later(*self);
                     });
}

std::size_t Connection::read(std::size_t bytes_max) {
  waiting_read_ = queued_ = false;
  if (gone_) return 0;
  if (lingering_) return discard_input(bytes_max);
  if (overloads() && waits_for_others()) return 0;
  return take_input(bytes_max);
}

std::size_t Connection::take_input(std::size_t bytes_max) {
  boost::system::error_code error;
  std::size_t n = 0;
  if (rest_.empty()) {
    std::vector<char>& buffer = loop_.read_buffer();
    const std::size_t size = std::min(buffer.size(), bytes_max);
    n = socket_.read_some(asio::buffer(buffer.data(), size), error);
    if (!error) offer(Bytes(buffer.data(), n), false);
  } else {
    const std::size_t had = rest_.size();
    const std::size_t size = std::min(kRestReadBytes, bytes_max);
    rest_.resize(had + size);
    n = socket_.read_some(asio::buffer(rest_.data() + had, size), error);
    rest_.resize(had + n);
    if (!error) offer(rest_, true);
  }
  if (error && error != asio::error::would_block) {
    on_peer_gone();
  } else {
    after_input();
  }
  return n;
}

void Connection::offer(Bytes in, bool in_rest) {
  const std::size_t consumed = session_.on_bytes(in);
  if (in_rest) {
    rest_.erase(0, consumed);
    if (rest_.empty() && rest_.capacity() > kRestReadBytes) rest_ = std::string();
  } else if (consumed < in.size()) {
    rest_.assign(in.substr(consumed));
  }
}

void Connection::after_input() {
  if (gone_ || lingering_) return;
  if (!session_.held_back() && !session_.wants_input()) return;
  if (!waits_for_others()) wait_readable();
}

bool Connection::overloads() const {
  return session_.publishes() && loop_.parts_.broker->overloaded();
}

// True: the loop has it, until it calls unthrottle().
bool Connection::waits_for_others() {
  const bool throttle = session_.held_back() || overloads();
  if (!throttle && !session_.held_by_queue()) return false;
  if (!throttled_) {
    throttled_ = true;
    throttle ? loop_.throttle(*this) : loop_.hold(*this);
  }
  return true;
}

void Connection::unthrottle() {
  throttled_ = false;
  const bool stopped = session_.held_back();  // within what was read: that comes first
  session_.let_go();
  stopped ? input_ready() : after_input();
}

void Connection::input_ready() {
  if (feeding_) return;
  feeding_ = true;
  loop_.feed_later(*this);
}

void Connection::feed() {
  feeding_ = false;
  if (gone_ || lingering_) return;
  if (!rest_.empty() && session_.wants_input()) offer(rest_, true);
  after_input();
}

void Connection::on_peer_gone() {
  session_.on_disconnect();
  close_socket();
}

// ---- output ----

void Connection::output_ready() {
  loop_.flush_later(*this);
}

void Connection::flush() {
  if (gone_) return;
  session::OutBuffer& out = session_.output();
  while (!out.empty() && !waiting_write_) {
    std::array<Bytes, kPiecesPerWrite> pieces;
    std::array<iovec, kPiecesPerWrite> vectors;
    const std::size_t n = out.front(pieces.data(), pieces.size());
    for (std::size_t i = 0; i < n; ++i) {
      vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = n;
    const ssize_t written = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (written >= 0) {
      out.consume(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_writable();
    } else if (errno != EINTR) {
      return on_peer_gone();
    }
  }
  session_.on_flushed();
  // Input that stood still because too much was waiting to be written.
  const bool may_read = !waiting_read_ && !throttled_ && !lingering_;
  if (may_read && session_.wants_input()) input_ready();
  if (session_.closed() && out.empty() && !lingering_) begin_linger();
}

void Connection::wait_writable() {
  waiting_write_ = true;
  socket_.async_wait(tcp::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->waiting_write_ = false;
                       if (self->gone_) return;
                       if (error) return self->on_peer_gone();
                       self->flush();
                     });
}

// ---- the end ----

void Connection::begin_linger() {
  lingering_ = true;
  linger_until_ = loop_.parts_.clock->now() + kLinger;
  rest_ = std::string();
  boost::system::error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  if (error) return close_socket();
  wait_readable();
}

std::size_t Connection::discard_input(std::size_t bytes_max) {
  boost::system::error_code error;
  std::vector<char>& buffer = loop_.read_buffer();
  const std::size_t size = std::min(buffer.size(), bytes_max);
  const std::size_t n = socket_.read_some(asio::buffer(buffer.data(), size), error);
  if (error && error != asio::error::would_block) {
    close_socket();
  } else {
    wait_readable();
  }
  return n;
}

void Connection::on_tick(Instant now) {
  if (gone_) return;
  if (lingering_) {
    if (now >= linger_until_) close_socket();
    return;
  }
  if (throttled_ || queued_ || !session_.wants_input()) session_.on_input_held();
  session_.on_tick(now);
  // A peer that does not read its last words is not waited for.
  if (session_.closed() && !session_.output().empty()) {
    if (linger_until_ == Instant{}) linger_until_ = now + kLinger;
    if (now >= linger_until_) close_socket();
  }
}

void Connection::force_close(std::string_view reason) {
  session_.force_close(amqp::ReplyCode::connection_forced, reason);
}

void Connection::close_socket() {
  if (gone_) return;
  gone_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  loop_.drop(*this);
}

}  // namespace warren::net
