// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/socket_world.h"

#include <thread>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/base/assert.h"

#include "tests/conformance/runner.h"

namespace warren::conformance {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;
constexpr int kCleanUpTries = 20;

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(int fd) : fd_(fd) {}
  ~SocketTransport() override { ::close(fd_); }

  void send(Bytes bytes) override {
    while (!bytes.empty() && !failed_) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
      failed_ = n <= 0;
    }
  }

  bool receive(std::string& in, Duration wait) override {
    if (closed_) return false;
    pollfd ready{fd_, POLLIN, 0};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    if (::poll(&ready, 1, static_cast<int>(ms)) <= 0) return false;
    char buffer[kReadBytes];
    const ssize_t n = ::recv(fd_, buffer, sizeof(buffer), 0);
    closed_ = n <= 0;
    if (n > 0) in.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }

  bool closed() override { return closed_; }

 private:
  int fd_;
  bool failed_ = false;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<Transport> SocketWorld::connect() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(uri_.port);
  if (::getaddrinfo(uri_.host.c_str(), port.c_str(), &hints, &found) != 0) return nullptr;
  int fd = -1;
  for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd >= 0 && ::connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
      ::close(fd);
      fd = -1;
    }
  }
  ::freeaddrinfo(found);
  if (fd < 0) return nullptr;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return std::make_unique<SocketTransport>(fd);
}

void SocketWorld::wait(Duration duration) {
  std::this_thread::sleep_for(duration);
}

void SocketWorld::restart() {
  WARREN_ASSERT(can_restart());
}

void SocketWorld::crash() {
  WARREN_ASSERT(can_restart());
}

std::string SocketWorld::run(const Case& script) {
  clean_up(script, {});
  Variables variables;
  std::string failure;
  {
    Runner runner(*this, script);
    failure = runner.run();
    variables = runner.variables();
  }
  clean_up(script, variables);
  return failure;
}

// One name at a time: a queue may be locked until the broker has noticed that its owner is gone.
void SocketWorld::clean_up(const Case& script, const Variables& variables) {
  std::vector<std::string> calls;
  std::set<std::string> queues = Runner::declared(script, "queue.declare", variables);
  for (const auto& [name, value] : variables) {
    if (value.starts_with("amq.gen")) queues.insert(value);
  }
  for (const std::string& name : queues) {
    if (name.empty() || (name.starts_with("amq.") && !name.starts_with("amq.gen"))) continue;
    calls.push_back(fmt::format("queue.delete queue={}", quote(name)));
  }
  for (const std::string& name : Runner::declared(script, "exchange.declare", variables)) {
    if (name.empty() || name.starts_with("amq.")) continue;
    calls.push_back(fmt::format("exchange.delete exchange={}", quote(name)));
  }
  for (const std::string& call : calls) {
    const auto made =
        read_cases(fmt::format("case CleanUp\n open z\n call z.1 {}\n bye z", call), "clean_up");
    WARREN_ASSERT(made.ok());
    for (int i = 0; i < kCleanUpTries; ++i) {
      if (Runner(*this, made.value().front()).run().empty()) break;
      wait(std::chrono::milliseconds(50));
    }
  }
}

}  // namespace warren::conformance
