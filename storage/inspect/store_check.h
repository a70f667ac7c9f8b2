// SPDX-License-Identifier: Apache-2.0
// Reads a whole store and says what does not fit together: what, where, how bad. Of one moment:
// nothing may write meanwhile, or the store is a view (kv/rocks_view.h). Shares only the layouts of
// storage/record with the engine. Memory: one entry per definition, per log and per shared body,
// one chunk. Checks: S1, S5, S6, S7, S11, S14, S15.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/inspect/catalog.h"
#include "storage/inspect/store_view.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

// What a finding means to whoever owns the messages.
enum class Harm : std::uint8_t {
  none,      // leftovers; they cost space
  counters,  // wrong counts or bounds: limits and statistics are off
  repeats,   // settled messages will be delivered again
  messages,  // messages cannot be delivered
  store,     // the broker refuses to start
};
std::string_view to_text(Harm harm);

struct Finding {
  Harm harm = Harm::none;
  std::string promise;  // S1 and so on; storage/INVARIANTS.md
  std::string where;    // "log 3 chunk 17, queue 'q' in vhost '/'"
  std::string what;
};

struct StoreCheck {
  std::uint64_t definitions = 0;
  std::uint64_t logs = 0;  // with a state
  std::uint64_t chunks = 0;
  std::uint64_t messages = 0;  // live ones
  std::uint64_t bytes = 0;     // of these
  std::uint64_t bodies = 0;    // that several logs may refer to
  std::uint64_t findings = 0;
  std::vector<std::string> problems;  // the findings as text; bound: kProblemsMax, then "and more"
};

inline constexpr std::size_t kProblemsMax = 100;

struct CheckProgress {
  std::uint64_t chunks = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  // of chunks, as stored
};

struct CheckObserver {
  std::function<void(const Finding&)> on_finding;
  std::function<void(const CheckProgress&)> on_progress;  // after every chunk
};

// An error only if the store cannot be read at all.
Result<StoreCheck> check_store(KvStore& store, const CheckObserver& observer = {});

// Definitions that refer to something which has no record: permissions to users and vhosts, queues,
// exchanges and policies to vhosts, bindings to exchanges (but for those of every vhost) and
// queues.
std::vector<Finding> check_references(const Catalog& catalog);

// Damage in the files below: write-ahead logs changed in what had been written whole, tables that
// were mended for the view, blocks that fail their checksums if they were not. (Bodies in blob
// files are read by check_store.)
std::vector<Finding> check_files(StoreView& view);

std::string to_text(const Finding& finding);

}  // namespace warren::storage
