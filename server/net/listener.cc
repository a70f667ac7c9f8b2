// SPDX-License-Identifier: Apache-2.0
#include "server/net/listener.h"

#include <algorithm>
#include <chrono>

#include <boost/asio/ip/v6_only.hpp>
#include <fmt/format.h>

#include "storage/base/log.h"

namespace warren::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Out of file descriptors and the like: not a reason to spin.
constexpr auto kRetry = std::chrono::milliseconds(100);

}  // namespace

Listener::Listener(std::vector<ShardLoop*> loops) : loops_(std::move(loops)) {}

Status Listener::open(const std::string& host, std::uint16_t port) {
  const auto failed = [&](const boost::system::error_code& error) {
    return Error{Errc::io_error,
                 fmt::format("cannot listen on {}:{}: {}", host, port, error.message())};
  };
  boost::system::error_code error;
  tcp::resolver resolver(loops_.front()->io());
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
  if (error || found.empty()) return failed(error);
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : found) {
    const bool known =
        std::find(endpoints.begin(), endpoints.end(), entry.endpoint()) != endpoints.end();
    if (!known) endpoints.push_back(entry.endpoint());
  }
  boost::system::error_code missing;
  for (tcp::endpoint endpoint : endpoints) {
    // A free port is the same one on all addresses.
    if (!sockets_.empty()) endpoint.port(sockets_.front()->acceptor.local_endpoint().port());
    error = add(endpoint, endpoints.size() > 1);
    const bool not_ours = error == asio::error::address_family_not_supported ||
                          error == boost::system::errc::address_not_available;
    if (error && !not_ours) return failed(error);
    if (error) missing = error;
  }
  if (sockets_.empty()) return failed(missing);
  return {};
}

boost::system::error_code Listener::add(const tcp::endpoint& endpoint, bool one_of_many) {
  auto socket = std::make_unique<Socket>(loops_.front()->io());
  tcp::acceptor& acceptor = socket->acceptor;
  boost::system::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && one_of_many && endpoint.address().is_v6()) {
    acceptor.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) sockets_.push_back(std::move(socket));
  return error;
}

std::vector<std::string> Listener::addresses() const {
  std::vector<std::string> all;
  for (const auto& socket : sockets_) {
    boost::system::error_code error;
    const tcp::endpoint bound = socket->acceptor.local_endpoint(error);
    if (error) continue;
    const std::string address = bound.address().to_string();
    all.push_back(bound.address().is_v6() ? fmt::format("[{}]:{}", address, bound.port())
                                          : fmt::format("{}:{}", address, bound.port()));
  }
  return all;
}

void Listener::start() {
  for (const auto& socket : sockets_) accept(*socket);
}

void Listener::close() {
  for (const auto& socket : sockets_) {
    boost::system::error_code ignored;
    socket->acceptor.close(ignored);
    socket->retry.cancel();
  }
}

void Listener::accept(Socket& socket) {
  if (!socket.acceptor.is_open()) return;
  ShardLoop& target = *loops_[next_++ % loops_.size()];
  socket.acceptor.async_accept(
      target.io(),
      [this, &socket, &target](const boost::system::error_code& error, tcp::socket accepted) {
        if (error == asio::error::operation_aborted || !socket.acceptor.is_open()) return;
        if (error) {
          WLOG(warn, "cannot accept a connection error='{}'", error.message());
          socket.retry.expires_after(kRetry);
          socket.retry.async_wait([this, &socket](const boost::system::error_code& cancelled) {
            if (!cancelled) accept(socket);
          });
          return;
        }
        auto shared = std::make_shared<tcp::socket>(std::move(accepted));
        target.post([&target, shared] { target.adopt(std::move(*shared)); });
        accept(socket);
      });
}

}  // namespace warren::net
