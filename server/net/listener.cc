// SPDX-License-Identifier: Apache-2.0
#include "server/net/listener.h"

#include <chrono>

#include <fmt/format.h>

#include "storage/base/log.h"

namespace warren::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Out of file descriptors and the like: not a reason to spin.
constexpr auto kRetry = std::chrono::milliseconds(100);

}  // namespace

Listener::Listener(std::vector<ShardLoop*> loops)
    : loops_(std::move(loops)), acceptor_(loops_.front()->io()), retry_(loops_.front()->io()) {}

Status Listener::open(const std::string& host, std::uint16_t port) {
  const auto failed = [&](std::string_view what, const boost::system::error_code& error) {
    return Error{Errc::io_error,
                 fmt::format("cannot listen on {}:{}: {}: {}", host, port, what, error.message())};
  };
  boost::system::error_code error;
  tcp::resolver resolver(acceptor_.get_executor());
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
  if (error || found.empty()) return failed("resolve", error);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (error) return failed("socket", error);
  acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (error) return failed("reuse address", error);
  acceptor_.bind(endpoint, error);
  if (error) return failed("bind", error);
  acceptor_.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return failed("listen", error);
  return {};
}

std::string Listener::address() const {
  boost::system::error_code error;
  const tcp::endpoint bound = acceptor_.local_endpoint(error);
  if (error) return "?";
  return bound.address().is_v6() ? fmt::format("[{}]:{}", bound.address().to_string(), bound.port())
                                 : fmt::format("{}:{}", bound.address().to_string(), bound.port());
}

void Listener::start() {
  accept();
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
}

void Listener::accept() {
  if (!acceptor_.is_open()) return;
  ShardLoop& target = *loops_[next_++ % loops_.size()];
  acceptor_.async_accept(
      target.io(), [this, &target](const boost::system::error_code& error, tcp::socket socket) {
        if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
        if (error) {
          WLOG(warn, "cannot accept a connection error='{}'", error.message());
          retry_.expires_after(kRetry);
          retry_.async_wait([this](const boost::system::error_code& cancelled) {
            if (!cancelled) accept();
          });
          return;
        }
        auto shared = std::make_shared<tcp::socket>(std::move(socket));
        target.post([&target, shared] { target.adopt(std::move(*shared)); });
        accept();
      });
}

}  // namespace warren::net
