// SPDX-License-Identifier: Apache-2.0
// A random workload on one to three shards, crashed and restarted at random moments, against a
// ledger. WARREN_SEED=n replays one seed, WARREN_SEEDS=n runs more of them.
#include <cstdlib>

#include <gmock/gmock.h>

#include "tests/unit/storage/engine/workload_checks.h"

namespace warren::storage {

namespace {

TEST(Ledger, RandomWorkloadsWithCrashes) {
  const char* const one = std::getenv("WARREN_SEED");
  const char* const many = std::getenv("WARREN_SEEDS");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t count =
      one != nullptr ? 1 : (many != nullptr ? std::strtoull(many, nullptr, 10) : 150);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("WARREN_SEED=" + std::to_string(seed));
    Workload(seed).run(2000);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace warren::storage
