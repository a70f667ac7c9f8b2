// SPDX-License-Identifier: Apache-2.0
// Three hundred seeds for every test run; sim_main runs as many as there is time for.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/simulation.h"
#include "tests/support/counted.h"

namespace warren::test {
namespace {

constexpr std::uint64_t kBlocks = 30;
constexpr std::uint64_t kSeedsPerBlock = 10;

class SimTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  static void TearDownTestSuite() { print_counted(seeds_run, "sim seeds"); }
  static inline std::uint64_t seeds_run = 0;
};

TEST_P(SimTest, KeepsItsPromises) {
  for (std::uint64_t i = 1; i <= kSeedsPerBlock; ++i) {
    const std::uint64_t seed = GetParam() * kSeedsPerBlock + i;
    SCOPED_TRACE(fmt::format("replay: sim_main --seed {}", seed));
    RecordProperty("seed", static_cast<int>(seed));
    EXPECT_EQ(Simulation(seed).run(Simulation::kStepsDefault), "");
    ++seeds_run;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimTest, ::testing::Range(std::uint64_t{0}, kBlocks));

}  // namespace
}  // namespace warren::test
