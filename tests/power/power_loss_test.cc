// SPDX-License-Identifier: Apache-2.0
// The random workload on RocksDB on a file system that loses power: nothing confirmed is lost,
// nothing comes back half, and the store always opens. WARREN_SEED=n replays one seed,
// WARREN_SEEDS=n runs so many from there; scripts/farm power-loss runs as many as there is time
// for.
#include <cstdlib>
#include <optional>

#include <gmock/gmock.h>

#include "tests/power/power_loss_disk.h"
#include "tests/support/counted.h"
#include "tests/unit/storage/engine/workload_checks.h"

namespace warren::storage {
namespace {

constexpr std::size_t kBodyBytesMax = 3000;

std::optional<std::uint64_t> number_from(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

// Without being told a number of seeds, as many as it takes to lose power `points_min` times.
void run_seeds(PowerLossDisk::Mode mode, int steps, std::uint64_t points_min) {
  const std::uint64_t first = number_from("WARREN_SEED").value_or(1);
  std::optional<std::uint64_t> count = number_from("WARREN_SEEDS");
  if (!count.has_value() && number_from("WARREN_SEED").has_value()) count = 1;
  Workload::Losses all;
  for (std::uint64_t seed = first;; ++seed) {
    if (count.has_value() ? seed - first >= *count : all.points >= points_min) break;
    SCOPED_TRACE("WARREN_SEED=" + std::to_string(seed));
    Workload workload(seed, std::make_unique<PowerLossDisk>(seed, mode), kBodyBytesMax);
    workload.run(steps);
    all.points += workload.losses().points;
    all.in_starts += workload.losses().in_starts;
    if (::testing::Test::HasFailure()) return;
  }
  std::printf("%llu of them in starts\n", static_cast<unsigned long long>(all.in_starts));
  test::print_counted(all.points, "power-loss points");
}

// A run that loses power again and again and goes on with what is left.
TEST(PowerLoss, NothingConfirmedIsLost) {
  run_seeds(PowerLossDisk::Mode::lose, 2000, 200);
}

// A run whose every sync, and some moments between, is held against the ledger: what if the power
// had gone here? The starts after some of these losses lose power likewise.
TEST(PowerLoss, NothingConfirmedIsLostAtAnySync) {
  run_seeds(PowerLossDisk::Mode::sweep, 600, 2000);
}

}  // namespace
}  // namespace warren::storage
