// SPDX-License-Identifier: Apache-2.0
// What a start learns from the store: definitions and log states, never messages, so that it costs
// O(queues). Leaves the store marked as in use. Keeps: S1, S12.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "storage/engine/store.h"
#include "storage/kv/kv_store.h"
#include "storage/record/keys.h"
#include "storage/record/store_meta.h"

namespace warren::storage {

// Log ids are reserved in steps of this many, ahead of their use.
inline constexpr std::uint64_t kLogIdStep = 1000;

struct Recovered {
  StoreMeta meta;
  std::uint64_t next_log_id = 1;
  std::vector<Definition> definitions;
  std::vector<LogState> logs;    // one per queue definition
  std::vector<SweepKey> sweeps;  // what was not done with yet
  RecoveryReport report;
};

// `store_id` is given to a new store, and must be the one of an old store.
Result<Recovered> recover(KvStore& store, const std::string& store_id);

}  // namespace warren::storage
