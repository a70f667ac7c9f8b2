// SPDX-License-Identifier: Apache-2.0
// The bytes of a table's blocks; see table_scan.h. Included by storage/kv/table_*.cc only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/kv/table_scan.h"

namespace warren::storage::table {

inline constexpr std::size_t kFooterBytes = 53;
inline constexpr std::size_t kTrailerBytes = 5;
inline constexpr std::uint64_t kMagic = 0x88e241b785f4cff7;
inline constexpr std::uint32_t kVersion = 5;
inline constexpr std::uint8_t kXxh3 = 4;  // the kind of checksum
// Behind a key in a data block: its number (7 bytes) and what it is (1 byte).
inline constexpr std::size_t kKeySuffixBytes = 8;

inline constexpr Bytes kPropertiesName = "rocksdb.properties";
inline constexpr Bytes kRangeDeletionsName = "rocksdb.range_del";
inline constexpr Bytes kFilterPrefix = "fullfilter.";
inline constexpr Bytes kFamilyName = "rocksdb.column.family.name";
inline constexpr Bytes kUserKeysName = "rocksdb.index.key.is.user.key";
inline constexpr Bytes kDeltaName = "rocksdb.index.value.is.delta.encoded";

struct Entry {
  std::string key;
  std::string value;
};

std::uint32_t load_32(Bytes from, std::size_t at);
std::optional<std::uint64_t> take_varint(Bytes& from);
void put_varint(std::string& to, std::uint64_t value);

std::optional<TableBlock> take_handle(Bytes& from);
void put_handle(std::string& to, const TableBlock& block);

// With the handle of a block for a value, which has no size before it.
enum class Values : std::uint8_t { sized, handles };
// Nothing when it does not fit together.
std::optional<std::vector<Entry>> parse_block(Bytes block, Values values);
std::string build_block(const std::vector<Entry>& entries, Values values);

struct Footer {
  TableBlock list;  // of what is not data
  TableBlock index;
};
std::optional<Footer> parse_footer(Bytes bytes);
std::string build_footer(const Footer& footer);

// The key without its suffix.
inline Bytes user_key(Bytes key) {
  return key.substr(0, key.size() - kKeySuffixBytes);
}

}  // namespace warren::storage::table
