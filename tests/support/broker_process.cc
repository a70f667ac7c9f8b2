// SPDX-License-Identifier: Apache-2.0
#include "tests/support/broker_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace warren::test {
namespace {

constexpr std::chrono::milliseconds kPoll(1);

// "... ready to serve address=127.0.0.1:5672 ...": the port, or 0 when the line is not there yet.
std::uint16_t ready_port(const std::string& log) {
  const std::size_t ready = log.find("ready to serve");
  const std::size_t address = ready == log.npos ? ready : log.find("address=", ready);
  const std::size_t colon = address == log.npos ? address : log.find(':', address);
  if (colon == log.npos || log.find('\n', colon) == log.npos) return 0;
  return static_cast<std::uint16_t>(std::strtoul(log.c_str() + colon + 1, nullptr, 10));
}

[[noreturn]] void become_broker(const std::vector<std::string>& words, const std::string& log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = ::open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  const char* const why = std::strerror(errno);
  [[maybe_unused]] const ssize_t said = ::write(STDERR_FILENO, why, std::strlen(why));
  ::_exit(127);
}

}  // namespace

Status BrokerProcess::spawn() {
  const std::string log = options_.folder + "/warrend.log";
  std::vector<std::string> words = {options_.program,
                                    "--data-dir",
                                    options_.folder + "/data",
                                    "--listen",
                                    fmt::format("127.0.0.1:{}", port_),
                                    "--threads",
                                    std::to_string(options_.threads)};
  words.insert(words.end(), options_.more.begin(), options_.more.end());
  log_start_ = log_since(0).size();
  pid_ = ::fork();
  if (pid_ < 0) return Error{Errc::io_error, fmt::format("fork: {}", std::strerror(errno))};
  if (pid_ == 0) become_broker(words, log);
  return {};
}

Status BrokerProcess::wait_ready(Duration limit) {
  const Instant deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const std::string log = log_since(log_start_);
    if (const std::uint16_t port = ready_port(log); port != 0) {
      port_ = port;
      return {};
    }
    if (reap(false)) {
      return Error{Errc::internal, fmt::format("warrend left with {}:\n{}", exit_code_, log)};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{Errc::internal, fmt::format("warrend is not ready in time:\n{}", log)};
    }
    std::this_thread::sleep_for(kPoll);
  }
}

bool BrokerProcess::reap(bool wait) {
  if (pid_ < 0) return true;
  int status = 0;
  if (::waitpid(pid_, &status, wait ? 0 : WNOHANG) != pid_) return false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
  return true;
}

void BrokerProcess::kill_now() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  reap(true);
}

int BrokerProcess::stop(Duration limit) {
  if (pid_ < 0) return -1;
  ::kill(pid_, SIGTERM);
  const Instant deadline = std::chrono::steady_clock::now() + limit;
  while (!reap(false)) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill_now();
      return -1;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return exit_code_;
}

std::string BrokerProcess::log_since(std::size_t from) const {
  std::ifstream file(options_.folder + "/warrend.log", std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string BrokerProcess::log_tail(std::size_t bytes) const {
  const std::string log = log_since(0);
  return log.size() <= bytes ? log : log.substr(log.size() - bytes);
}

}  // namespace warren::test
