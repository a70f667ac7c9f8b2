// SPDX-License-Identifier: Apache-2.0
// How far a long command is: a bar with rate and remaining time on a terminal, a plain line now and
// then elsewhere; on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace warren::dump {

class Progress {
 public:
  // `total` in bytes, as far as known; 0: unknown.
  Progress(std::string doing, std::uint64_t total);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done);
  // Takes the bar off the screen. Nothing is shown afterwards.
  void finish();
  // So that a line can be printed: the bar comes back with the next update.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void show(Clock::time_point now);

  const std::string doing_;
  const std::uint64_t total_;
  const bool terminal_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point next_;
  std::uint64_t done_ = 0;
  bool shown_ = false;
  bool finished_ = false;
};

}  // namespace warren::dump
