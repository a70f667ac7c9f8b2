// SPDX-License-Identifier: Apache-2.0
// A process is found by the port it listens on, and costs what it spends.
#include "server/tools/perf/process_stats.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace warren::perf {
namespace {

// Listens on a free port of loopback while it lives.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd_, raw, size), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    EXPECT_EQ(::getsockname(fd_, raw, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST(FindListener, FindsTheProcessBehindAPort) {
  std::uint16_t port = 0;
  {
    const Listener listener;
    port = listener.port();
    EXPECT_EQ(find_listener(port), ::getpid());
  }
  EXPECT_EQ(find_listener(port), 0);
}

TEST(ReadProcessStats, SeesMemoryThatIsUsed) {
  const auto before = read_process_stats(::getpid());
  ASSERT_TRUE(before.ok());
  EXPECT_GE(before->resident_bytes, before->anonymous_bytes);
  constexpr std::size_t kBytes = 64 << 20;
  const std::string memory(kBytes, 'x');
  const auto after = read_process_stats(::getpid());
  ASSERT_TRUE(after.ok());
  EXPECT_GE(after->anonymous_bytes, before->anonymous_bytes + kBytes / 2) << memory.size();
  EXPECT_FALSE(read_process_stats(0).ok());
}

TEST(ServerProbe, TakesTheNamedProcessOrNone) {
  BrokerOptions options;
  options.pid = ::getpid();
  auto probe = ServerProbe::find(options);
  ASSERT_TRUE(probe.ok());
  EXPECT_TRUE(probe->known());
  ASSERT_TRUE(probe->cost().has_value());
  EXPECT_GT(probe->cost()->resident_peak_bytes, 0U);
  options.pid = 0;
  options.uri.host = "192.0.2.1";  // of no machine
  auto remote = ServerProbe::find(options);
  ASSERT_TRUE(remote.ok());
  EXPECT_FALSE(remote->known());
  EXPECT_FALSE(remote->cost().has_value());
}

}  // namespace
}  // namespace warren::perf
