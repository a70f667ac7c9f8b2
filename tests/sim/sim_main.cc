// SPDX-License-Identifier: Apache-2.0
// Runs seeds of the simulation; a seed that fails is printed with the line that replays it.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/sim/simulation.h"
#include "tests/support/counted.h"

namespace {

using warren::test::SimLedger;
using warren::test::Simulation;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  unsigned steps = Simulation::kStepsDefault;
  std::uint64_t trace = 0;
};

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    const std::string_view name = argv[i];
    const char* const value = argv[i + 1];
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(value, &end, 10);
    if (name == "--seed" && *end == '\0') {
      out.first = out.last = number;
    } else if (name == "--seeds" && *end == '-') {
      out.first = number;
      out.last = std::strtoull(end + 1, &end, 10);
      if (*end != '\0' || out.last < out.first) return false;
    } else if (name == "--steps" && *end == '\0') {
      out.steps = static_cast<unsigned>(number);
    } else if (name == "--trace" && *end == '\0') {
      out.trace = number;
    } else {
      return false;
    }
  }
  return true;
}

// For an assertion that fails inside the broker: written by the signal handler.
char replay_line[128];

extern "C" void on_abort(int) {
  const ssize_t written = ::write(STDERR_FILENO, replay_line, std::strlen(replay_line));
  static_cast<void>(written);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: sim_main [--seed N | --seeds FROM-TO] [--steps N] [--trace MESSAGE]\n");
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  std::signal(SIGSEGV, [](int) {
    on_abort(0);
    std::_Exit(3);
  });
  std::uint64_t failed = 0;
  SimLedger::Stats all;
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    std::snprintf(replay_line, sizeof(replay_line),
                  "FAILED, replay: sim_main --seed %llu --steps %u\n",
                  static_cast<unsigned long long>(seed), arguments.steps);
    Simulation simulation(seed);
    simulation.trace(arguments.trace);
    const std::string failure = simulation.run(arguments.steps);
    const SimLedger::Stats& stats = simulation.stats();
    all.published += stats.published;
    all.delivered += stats.delivered;
    all.redelivered += stats.redelivered;
    all.crashes += stats.crashes;
    all.stops += stats.stops;
    all.lost_unconfirmed += stats.lost_unconfirmed;
    all.came_back += stats.came_back;
    if (!failure.empty()) {
      ++failed;
      fmt::print("seed {}: {}\n{}", seed, failure, replay_line);
    }
    const std::uint64_t done = seed - arguments.first + 1;
    if (done % 100 == 0 || seed == arguments.last) {
      fmt::print(
          "{} seeds, {} failed: {} published, {} delivered, {} of them again, {} crashes, "
          "{} stops, {} acked came back, {} unconfirmed lost\n",
          done, failed, all.published, all.delivered, all.redelivered, all.crashes, all.stops,
          all.came_back, all.lost_unconfirmed);
      std::fflush(stdout);
    }
  }
  warren::test::print_counted(arguments.last - arguments.first + 1, "sim seeds");
  return failed == 0 ? 0 : 1;
}
