// SPDX-License-Identifier: Apache-2.0
#include "storage/kv/log_scan.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "storage/base/crc32c.h"

namespace warren::storage {
namespace {

constexpr std::size_t kBlockBytes = 32768;
constexpr std::size_t kHeaderBytes = 7;
// What a disk writes whole, at the least.
constexpr std::size_t kSectorBytes = 512;

constexpr std::uint8_t kWhole = 1;
constexpr std::uint8_t kFirst = 2;
constexpr std::uint8_t kMiddle = 3;
constexpr std::uint8_t kLast = 4;
// Written for a reader only, such as the compression in use.
constexpr std::uint8_t kTypeMax = 10;

std::uint32_t little_endian_32(const char* from) {
  return __builtin_bswap32(load_big_endian<std::uint32_t>(from));
}

std::size_t little_endian_16(const char* from) {
  return __builtin_bswap16(load_big_endian<std::uint16_t>(from));
}

std::uint32_t mask(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

struct Part {
  std::uint8_t type = 0;
  std::size_t end = 0;
};

// The part at `at`, if its checksum is good.
std::optional<Part> part_at(Bytes file, std::size_t at) {
  const std::size_t block_end = std::min(file.size(), (at / kBlockBytes + 1) * kBlockBytes);
  if (at + kHeaderBytes > block_end) return std::nullopt;
  const char* const header = file.data() + at;
  const std::size_t length = little_endian_16(header + 4);
  const auto type = static_cast<std::uint8_t>(header[6]);
  if (type == 0 || type > kTypeMax || at + kHeaderBytes + length > block_end) return std::nullopt;
  const Bytes covered = file.substr(at + 6, 1 + length);
  if (little_endian_32(header) != mask(crc32c(covered))) return std::nullopt;
  return Part{type, at + kHeaderBytes + length};
}

std::size_t skip_padding(std::size_t at) {
  const std::size_t left = kBlockBytes - at % kBlockBytes;
  return left < kHeaderBytes ? at + left : at;
}

// Whether the part at `at` was never written whole: it goes on behind the end of the file, or one
// of the sectors that it needs reads as zeros. `behind`: good parts behind it.
bool is_torn(Bytes file, std::size_t at, std::uint64_t behind) {
  const std::size_t block_end = (at / kBlockBytes + 1) * kBlockBytes;
  if (at + kHeaderBytes > file.size()) return true;
  const Bytes header = file.substr(at, kHeaderBytes);
  if (std::ranges::all_of(header, [](char c) { return c == '\0'; })) return true;
  const std::size_t claimed = at + kHeaderBytes + little_endian_16(header.data() + 4);
  // Where a file was cut nothing follows: then it is the length that is wrong.
  if (claimed <= block_end && claimed > file.size()) return behind == 0;
  // Only what starts at a sector can be missing by itself.
  const std::size_t end = std::min({claimed, block_end, file.size()});
  for (std::size_t sector = (at / kSectorBytes + 1) * kSectorBytes; sector < end;
       sector += kSectorBytes) {
    const Bytes content = file.substr(sector, std::min(kSectorBytes, end - sector));
    if (std::ranges::all_of(content, [](char c) { return c == '\0'; })) return true;
  }
  return false;
}

// Whether good parts follow each other from `at` to the end of its block.
bool reaches_block_end(Bytes file, std::size_t at) {
  const std::size_t block_end = std::min(file.size(), (at / kBlockBytes + 1) * kBlockBytes);
  while (at < block_end) {
    const auto part = part_at(file, at);
    if (!part.has_value()) return false;
    at = skip_padding(part->end);
  }
  return true;
}

// Where the lengths lead from a damaged part at `at`: to a good one, or to the end of the block.
std::optional<std::size_t> end_by_length(Bytes file, std::size_t at) {
  const std::size_t block_end = std::min(file.size(), (at / kBlockBytes + 1) * kBlockBytes);
  while (at < block_end && !part_at(file, at).has_value()) {
    if (at + kHeaderBytes > block_end) return std::nullopt;
    const auto type = static_cast<std::uint8_t>(file[at + 6]);
    const std::size_t end = at + kHeaderBytes + little_endian_16(file.data() + at + 4);
    if (type == 0 || type > kTypeMax || end > block_end) return std::nullopt;
    at = skip_padding(end);
  }
  return at;
}

// Where the parts go on behind a damaged one at `at`. By its length, if that leads anywhere: what a
// message carries must not be taken for a part. Else at the first one from which good parts fill
// the block, or if there is more damage in it at the first good one, or at the next block.
std::size_t next_good(Bytes file, std::size_t at) {
  if (const auto end = end_by_length(file, at); end.has_value()) return *end;
  const std::size_t block_end = std::min(file.size(), (at / kBlockBytes + 1) * kBlockBytes);
  std::size_t first = block_end;
  while (++at < block_end) {
    if (!part_at(file, at).has_value()) continue;
    if (reaches_block_end(file, at)) return at;
    first = std::min(first, at);
  }
  return first;
}

void append_part(std::string& out, std::uint8_t type, Bytes payload) {
  const std::size_t at = out.size();
  out.append(kHeaderBytes, '\0');
  out[at + 4] = static_cast<char>(payload.size() & 0xFF);
  out[at + 5] = static_cast<char>(payload.size() >> 8);
  out[at + 6] = static_cast<char>(type);
  out.append(payload);
  const std::uint32_t crc = mask(crc32c(Bytes(out).substr(at + 6)));
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(crc >> (8 * i));
}

void append_record(std::string& out, Bytes record) {
  for (bool begun = false;; begun = true) {
    out.resize(skip_padding(out.size()));
    const std::size_t room = kBlockBytes - out.size() % kBlockBytes - kHeaderBytes;
    const Bytes payload = record.substr(0, room);
    record.remove_prefix(payload.size());
    if (record.empty()) return append_part(out, begun ? kLast : kWhole, payload);
    append_part(out, begun ? kMiddle : kFirst, payload);
  }
}

std::uint64_t count_parts(Bytes file, std::size_t from) {
  std::uint64_t count = 0;
  for (std::size_t at = from; at + kHeaderBytes <= file.size();) {
    if (const auto part = part_at(file, at); part.has_value()) {
      ++count;
      at = skip_padding(part->end);
    } else {
      ++at;
    }
  }
  return count;
}

}  // namespace

LogScan scan_log(Bytes file) {
  LogScan scan;
  std::size_t at = 0;
  while (at < file.size()) {
    const auto part = part_at(file, at);
    if (!part.has_value()) {
      scan.damage_at = at;
      scan.records_behind = count_parts(file, at + 1);
      const bool torn = is_torn(file, at, scan.records_behind);
      scan.end = torn ? LogScan::End::torn : LogScan::End::corrupt;
      return scan;
    }
    at = part->end;
    // A record that was begun counts with its last part only.
    if (part->type == kWhole || part->type >= kLast) scan.good_bytes = at;
    at = skip_padding(at);
  }
  if (scan.good_bytes + kHeaderBytes <= file.size() &&
      skip_padding(scan.good_bytes) < file.size()) {
    scan.end = LogScan::End::torn;  // ends between two parts of a record
    scan.damage_at = file.size();
  }
  return scan;
}

SalvagedLog salvage_log(Bytes file) {
  SalvagedLog out;
  std::optional<std::string> begun;  // a record whose last part is still to come
  std::size_t at = 0;
  while (at < file.size()) {
    const auto part = part_at(file, at);
    if (!part.has_value()) {
      begun.reset();
      at = next_good(file, at);
      continue;
    }
    const Bytes payload = file.substr(at + kHeaderBytes, part->end - at - kHeaderBytes);
    if (part->type == kWhole || part->type == kFirst) begun.emplace();
    if (part->type > kLast) begun.reset();  // none that we write
    if (begun.has_value()) {
      begun->append(payload);
      if (part->type == kWhole || part->type == kLast) {
        append_record(out.content, *begun);
        ++out.records;
        begun.reset();
      }
    }
    at = skip_padding(part->end);
  }
  out.content.resize(std::max(out.content.size(), file.size()));
  return out;
}

}  // namespace warren::storage
