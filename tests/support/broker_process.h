// SPDX-License-Identifier: Apache-2.0
// A warrend of the test's own in a child process: start, kill -9, stop, start again on the same
// data and the same port. It dies with the test.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "storage/base/clock.h"
#include "storage/base/result.h"

namespace warren::test {

class BrokerProcess {
 public:
  struct Options {
    std::string program;
    std::string folder;  // data in folder/data, log in folder/warrend.log
    unsigned threads = 1;
    std::vector<std::string> more;  // further options of warrend
  };

  explicit BrokerProcess(Options options) : options_(std::move(options)) {}
  ~BrokerProcess() { kill_now(); }
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  // Starts it and does not wait.
  Status spawn();
  // Waits for its ready line; an error when it exits before, with the end of its log.
  Status wait_ready(Duration limit = std::chrono::seconds(30));
  // kill -9, and waits until it is gone. Nothing when it does not run.
  void kill_now();
  // SIGTERM; the exit code, or -1 when it had to be killed.
  int stop(Duration limit = std::chrono::seconds(30));

  // Loopback. Known once ready, and the same after a restart. Thread safety: any.
  std::uint16_t port() const { return port_; }
  std::string log_tail(std::size_t bytes = 3000) const;

 private:
  std::string log_since(std::size_t from) const;
  bool reap(bool wait);

  Options options_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
  std::uint16_t port_ = 0;
  std::size_t log_start_ = 0;
};

}  // namespace warren::test
