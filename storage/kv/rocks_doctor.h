// SPDX-License-Identifier: Apache-2.0
// What must be looked at before RocksDB opens a database after a power loss. It would refuse a
// manifest whose tail was torn although nothing is lost, and it would silently drop every confirmed
// record behind a flipped bit of its write-ahead log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace warren::storage {

// Gives another process, a broker that runs, the time to end a write that it is in. No event tells.
void let_writes_end();

// How much of a manifest's content counts: all of it, unless it ends in an edit that was never
// synced.
std::uint64_t sound_manifest_bytes(Bytes manifest);

// Cuts a torn tail off the current manifest: an edit that was never synced was never acted upon.
// Anything else that is wrong with it is left for RocksDB to report.
Status repair_manifest_tail(const std::string& database);

// A write-ahead log that is damaged in what had been written whole.
struct DamagedLog {
  std::string path;
  std::uint64_t bytes = 0;
  std::uint64_t damage_at = 0;
  std::uint64_t records_behind = 0;
};
Result<std::vector<DamagedLog>> find_damaged_logs(const std::string& database);

// Writes a damaged log anew, with every record that can be read and no other; durable. Says how
// many these are. The old file is gone then.
Result<std::uint64_t> salvage_log_file(const std::string& path);

// Errc::corruption, naming file, offset and the number of records behind, when a write-ahead log is
// damaged in what was written whole. A torn tail is fine: RocksDB drops it, nobody was told of it.
Status check_write_ahead_logs(const std::string& database);

}  // namespace warren::storage
