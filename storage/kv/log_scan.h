// SPDX-License-Identifier: Apache-2.0
// Reads the record framing that RocksDB's write-ahead logs and manifests share, to tell a tail that
// a power loss tore from bytes that were synced and changed since. Knows nothing of the contents.
//
// A file is a row of 32 KiB blocks. A record within a block: masked CRC32C of type and payload
// (u32, little endian), length (u16), type (u8: 1 whole, 2 first, 3 middle, 4 last part), payload.
// Fewer than 7 bytes at the end of a block are padding.
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/bytes.h"

namespace warren::storage {

struct LogScan {
  enum class End : std::uint8_t {
    clean,    // ends behind a whole record
    torn,     // ends in what was never synced: cut short, or not written and hence zeros
    corrupt,  // bytes that were written whole do not match their checksum
  };
  End end = End::clean;
  std::uint64_t good_bytes = 0;      // up to the end of the last whole record
  std::uint64_t damage_at = 0;       // where the first bad part starts, unless clean
  std::uint64_t records_behind = 0;  // parts with a good checksum behind the damage
};

LogScan scan_log(Bytes file);

// A log of exactly the records that are whole in `file`, in their order, as long as `file` at least
// (the rest is zeros, as behind a torn tail). RocksDB by itself gives up the rest of a block behind
// a damaged record.
struct SalvagedLog {
  std::string content;
  std::uint64_t records = 0;
};
SalvagedLog salvage_log(Bytes file);

}  // namespace warren::storage
