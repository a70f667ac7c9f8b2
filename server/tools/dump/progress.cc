// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/progress.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "server/tools/dump/output.h"

namespace warren::dump {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kPlainLine{5};
constexpr std::size_t kBarWidth = 30;

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

Progress::Progress(std::string doing, std::uint64_t total)
    : doing_(std::move(doing)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      next_(started_ + (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) {}

void Progress::update(std::uint64_t done) {
  done_ = done;
  if (finished_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine));
  show(now);
}

void Progress::show(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double rate = static_cast<double>(done_) / std::max(seconds, 1e-3);
  std::string line = fmt::format("{}: {}", doing_, bytes_text(done_));
  if (total_ > 0) {
    const double part = std::min(static_cast<double>(done_) / static_cast<double>(total_), 0.999);
    if (terminal_) {
      const auto full = static_cast<std::size_t>(part * kBarWidth);
      line += fmt::format(" [{}{}]", std::string(full, '#'), std::string(kBarWidth - full, ' '));
    }
    line += fmt::format(" {:.0f} % of {}", part * 100, bytes_text(total_));
  }
  line += fmt::format(", {}/s", bytes_text(static_cast<std::uint64_t>(rate)));
  if (total_ > done_ && rate > 0) {
    line += fmt::format(", {} left", duration_text(static_cast<double>(total_ - done_) / rate));
  }
  if (terminal_) {
    fmt::print(stderr, "\r\x1B[K{}", line);
    std::fflush(stderr);
    shown_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

void Progress::clear() {
  if (shown_) fmt::print(stderr, "\r\x1B[K");
  shown_ = false;
  std::fflush(stderr);
}

void Progress::finish() {
  clear();
  finished_ = true;
}

}  // namespace warren::dump
