// SPDX-License-Identifier: Apache-2.0
// What each log takes on disk and how much of it is of messages that are gone. Reads every chunk.
// Memory: one entry per log, one chunk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/kv/kv_store.h"

namespace warren::storage {

struct LogUsage {
  std::uint64_t chunks = 0;
  std::uint64_t stored_bytes = 0;  // keys and values of chunks, settled sets and references
  std::uint64_t live_messages = 0;
  std::uint64_t live_bytes = 0;     // their blocks, wherever these are stored
  std::uint64_t settled_bytes = 0;  // blocks of settled messages that share a chunk with live ones
  std::uint64_t damaged_chunks = 0;
};

// `progress` gets the stored bytes read so far.
Result<std::map<LogId, LogUsage>> measure_logs(KvStore& store,
                                               const std::function<void(std::uint64_t)>& progress);

// Bodies that several logs refer to. Memory: one entry per body.
struct BodyUsage {
  std::uint64_t bodies = 0;
  std::uint64_t bytes = 0;
  std::uint64_t references = 0;  // as counted in the store
};
Result<BodyUsage> measure_bodies(KvStore& store);

}  // namespace warren::storage
