// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/table_format.h"

#include <xxhash.h>

namespace warren::storage {
namespace table {
namespace {

void put_32(std::string& to, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<char>(value >> shift));
}

}  // namespace

std::uint32_t load_32(Bytes from, std::size_t at) {
  return __builtin_bswap32(load_big_endian<std::uint32_t>(from.data() + at));
}

std::optional<std::uint64_t> take_varint(Bytes& from) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(from.front());
    from.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

std::optional<TableBlock> take_handle(Bytes& from) {
  const auto offset = take_varint(from);
  const auto bytes = offset.has_value() ? take_varint(from) : std::nullopt;
  if (!bytes.has_value()) return std::nullopt;
  return TableBlock{*offset, *bytes};
}

void put_handle(std::string& to, const TableBlock& block) {
  put_varint(to, block.offset);
  put_varint(to, block.bytes);
}

std::optional<std::vector<Entry>> parse_block(Bytes block, Values values) {
  if (block.size() < 8) return std::nullopt;
  const std::uint64_t restarts = load_32(block, block.size() - 4);
  if (block == build_block({}, values)) return std::vector<Entry>();
  if (restarts == 0 || 4 * (restarts + 1) > block.size()) return std::nullopt;
  Bytes left = block.substr(0, block.size() - 4 * (restarts + 1));
  std::vector<Entry> out;
  while (!left.empty()) {
    const auto shared = take_varint(left);
    const auto more = shared.has_value() ? take_varint(left) : std::nullopt;
    std::optional<std::uint64_t> size = more;
    if (values == Values::sized && more.has_value()) size = take_varint(left);
    if (!size.has_value() || *more > left.size()) return std::nullopt;
    if (*shared > (out.empty() ? 0 : out.back().key.size())) return std::nullopt;
    Entry entry;
    if (!out.empty()) entry.key = out.back().key.substr(0, *shared);
    entry.key.append(left.substr(0, *more));
    left.remove_prefix(*more);
    if (values == Values::handles) {
      const Bytes before = left;
      // Others than the first behind a restart are relative to it: RocksDB as set up has none.
      if (*shared != 0 || !take_handle(left).has_value()) return std::nullopt;
      size = before.size() - left.size();
      left = before;
    }
    if (*size > left.size()) return std::nullopt;
    entry.value.assign(left.substr(0, *size));
    left.remove_prefix(*size);
    out.push_back(std::move(entry));
  }
  return out;
}

std::string build_block(const std::vector<Entry>& entries, Values values) {
  if (entries.empty()) return std::string(8, '\0');
  std::string out;
  std::vector<std::uint32_t> restarts;
  for (const Entry& entry : entries) {
    restarts.push_back(static_cast<std::uint32_t>(out.size()));
    put_varint(out, 0);
    put_varint(out, entry.key.size());
    if (values == Values::sized) put_varint(out, entry.value.size());
    out += entry.key;
    out += entry.value;
  }
  for (const std::uint32_t restart : restarts) put_32(out, restart);
  put_32(out, static_cast<std::uint32_t>(restarts.size()));
  return out;
}

std::optional<Footer> parse_footer(Bytes bytes) {
  if (bytes.size() != kFooterBytes) return std::nullopt;
  const std::uint64_t magic =
      load_32(bytes, 45) | (static_cast<std::uint64_t>(load_32(bytes, 49)) << 32);
  const bool known = static_cast<std::uint8_t>(bytes[0]) == kXxh3 &&
                     load_32(bytes, 41) == kVersion && magic == kMagic;
  if (!known) return std::nullopt;
  Bytes handles = bytes.substr(1, 40);
  const auto list = take_handle(handles);
  const auto index = list.has_value() ? take_handle(handles) : std::nullopt;
  if (!index.has_value()) return std::nullopt;
  return Footer{*list, *index};
}

std::string build_footer(const Footer& footer) {
  std::string out(1, static_cast<char>(kXxh3));
  put_handle(out, footer.list);
  put_handle(out, footer.index);
  out.resize(41);
  put_32(out, kVersion);
  put_32(out, static_cast<std::uint32_t>(kMagic));
  put_32(out, static_cast<std::uint32_t>(kMagic >> 32));
  return out;
}

}  // namespace table

std::string table_block_trailer(Bytes block) {
  // A type other than 0, which we never write, would be mixed into the hash.
  const auto checksum = static_cast<std::uint32_t>(XXH3_64bits(block.data(), block.size()));
  std::string out(1, '\0');
  table::put_32(out, checksum);
  return out;
}

}  // namespace warren::storage
