// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/server_process.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace warren::perf {
namespace {

bool is_zombie(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  return line.find(") Z") != line.npos;
}

// A broker that is killed with much memory holds its lock for a while after its first thread ended.
TEST(ServerProcess, EndsWithItsLastThread) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::thread other([] {
      while (true) ::pause();
    });
    ::syscall(SYS_exit, 0);  // this thread only: other is never destroyed
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(40);
  while (!is_zombie(child) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(is_zombie(child));
  EXPECT_FALSE(process_ended(child));
  EXPECT_TRUE(end_process(child, SIGKILL, std::chrono::seconds(40)).ok());
  EXPECT_TRUE(process_ended(child));
}

}  // namespace
}  // namespace warren::perf
