// SPDX-License-Identifier: Apache-2.0
// Reads a whole store and says what does not fit together. Offline: nothing may write meanwhile.
// Shares only the layouts of storage/record with the engine. Checks: S5, S7, S15.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

struct StoreCheck {
  std::uint64_t definitions = 0;
  std::uint64_t logs = 0;
  std::uint64_t chunks = 0;
  std::uint64_t messages = 0;         // live ones
  std::uint64_t bytes = 0;            // of these
  std::vector<std::string> problems;  // bound: kProblemsMax, then one line that says so
};

inline constexpr std::size_t kProblemsMax = 100;

// An error only if the store cannot be read at all.
Result<StoreCheck> check_store(KvStore& store);

}  // namespace warren::storage
