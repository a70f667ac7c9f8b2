// SPDX-License-Identifier: Apache-2.0
// Runs a function in a child process and brings back what it says, or how it died.
#pragma once

#include <csignal>
#include <cstring>
#include <functional>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "storage/base/assert.h"

namespace warren::test {

struct ChildEnd {
  std::string said;
  std::string how;  // for people: "exit code 0", "Aborted"
  int code = -1;    // -1: a signal ended it
  int signal = 0;   // 0: it ended by itself

  bool well() const { return code == 0; }
  // What an assertion does, ours or RocksDB's.
  bool aborted() const { return signal == SIGABRT; }
};

// REQUIRES: the process has no other threads.
inline ChildEnd run_in_child(const std::function<std::string()>& body) {
  int ends[2];
  WARREN_ASSERT(::pipe(ends) == 0);
  const pid_t child = ::fork();
  WARREN_ASSERT(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    ::alarm(60);  // a hang ends in SIGALRM
    const std::string said = body();
    const bool written = ::write(ends[1], said.data(), said.size()) >= 0;
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  ChildEnd out;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    out.said.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) {
    out.code = WEXITSTATUS(status);
    out.how = "exit code " + std::to_string(out.code);
  } else {
    out.signal = WTERMSIG(status);
    out.how = ::strsignal(out.signal);
  }
  return out;
}

}  // namespace warren::test
