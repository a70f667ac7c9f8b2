// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/server_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace warren::perf {
namespace {

constexpr std::chrono::milliseconds kPoll(1);
constexpr std::uint64_t kStatBlockBytes = 512;

// Of the child: everything here is safe between fork and exec.
[[noreturn]] void become(const char* command, const char* log) {
  ::setsid();
  const int out = ::open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in < 0 || out < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) {
    ::_exit(126);
  }
  std::signal(SIGPIPE, SIG_DFL);
  ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  ::_exit(127);
}

// The first thread of a process is done before the others are: until then its files, and their
// locks, are held.
bool is_alone(int pid) {
  std::error_code error;
  const std::filesystem::directory_iterator tasks(fmt::format("/proc/{}/task", pid), error);
  return error || std::distance(begin(tasks), end(tasks)) <= 1;
}

}  // namespace

bool process_ended(int pid) {
  if (::waitpid(pid, nullptr, WNOHANG) == pid) return true;  // a child of ours
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return true;
  // The state is behind the program's name in brackets, which may hold anything.
  const std::size_t name_end = line.rfind(')');
  if (name_end == line.npos) return true;
  return line.substr(name_end + 1, 2) == " Z" && is_alone(pid);
}

Status end_process(int pid, int signal, Duration timeout) {
  if (::kill(pid, signal) != 0) {
    return Error{Errc::io_error,
                 fmt::format("cannot stop process {}: {}", pid, std::strerror(errno))};
  }
  const Instant deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    if (process_ended(pid)) return {};
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{Errc::io_error, fmt::format("process {} does not end", pid)};
    }
    std::this_thread::sleep_for(kPoll);
  }
}

Result<int> start_process(const std::string& command, const std::string& log) {
  // The shell makes way for the program, so that the process id is the program's; env(1) takes
  // NAME=VALUE in front of it.
  const std::string line = "exec env " + command;
  const std::string out = log.empty() ? "/dev/null" : log;
  const pid_t child = ::fork();
  if (child < 0) return Error{Errc::io_error, fmt::format("fork: {}", std::strerror(errno))};
  if (child == 0) become(line.c_str(), out.c_str());
  return static_cast<int>(child);
}

std::uint64_t disk_bytes(const std::string& directory) {
  std::uint64_t sum = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator files(directory, error);
  for (; !error && files != std::filesystem::recursive_directory_iterator();
       files.increment(error)) {
    struct stat status {};
    if (::lstat(files->path().c_str(), &status) != 0) continue;  // deleted meanwhile
    sum += static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes;
  }
  return sum;
}

}  // namespace warren::perf
