// SPDX-License-Identifier: Apache-2.0
// Reads a table as RocksDB's block-based format 5 lays it out, block by block, and says which of
// its blocks cannot be used and which keys these may have held: RocksDB itself stops at the first.
// Knows nothing of the meaning of keys and values.
//
// A table: data blocks, a filter, an index, deletions of ranges if there are any, properties, a
// list of these, a footer of 53 bytes. A block is followed by its compression type (0: none) and
// the checksum of both (u32, little endian). In a block: entries, each u32 varints of how many
// bytes of the key it shares with the one before it, of how many follow and of the value's size,
// then these; the offsets of the entries that share nothing; how many these are. In the index a
// value is the offset and the size (u64 varints) of the block, and has no size before it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace warren::storage {

struct TableFile {
  std::uint64_t bytes = 0;
  std::function<Result<std::string>(std::uint64_t offset, std::size_t size)> read;
};

struct TableBlock {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  // without type and checksum
  std::uint64_t end() const { return offset + bytes + 5; }
};

// Keys between these two may be missing; nothing: from the first on, up to the last.
struct TableHole {
  std::optional<std::string> after;
  std::optional<std::string> before;
};

struct TableScan {
  std::vector<std::string> damage;  // "data block at 4096 of 4013 bytes: ..."; empty: it is sound
  std::vector<TableHole> holes;
  bool range_deletions_lost = false;
  std::string family;  // as the properties say; empty: they cannot be read

  // What is sound, for a table that is to be made of it.
  struct DataBlock {
    TableBlock at;
    std::string separator;  // no key in it is greater, all behind it are
  };
  std::vector<DataBlock> data;
  std::optional<std::string> range_deletions;
  std::uint64_t data_end = 0;  // behind the last of these
};

// Memory: a block, or the table when its index is damaged. Of a file that is nothing like a table
// all is damaged.
TableScan scan_table(const TableFile& file);

// What stands behind a block.
std::string table_block_trailer(Bytes block);

// A table file's bytes from `from` on, such that those before it and these are a sound table.
struct TableTail {
  std::uint64_t from = 0;
  std::string bytes;
};
// A table of what is sound in one of `bytes` bytes, and as large. It has no filter, and of the
// properties only the ones without which it cannot be read. Errc::no_space when there is no room.
Result<TableTail> mend_table(const TableScan& scan, std::uint64_t bytes);

}  // namespace warren::storage
