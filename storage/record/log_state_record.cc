// SPDX-License-Identifier: Apache-2.0
#include "storage/record/log_state_record.h"

#include "storage/record/envelope.h"

namespace warren::storage {
namespace {

// Version 1 ends with the delivered mark.
constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kDueFlag = 1;
constexpr std::uint8_t kReturnsFlag = 2;
constexpr std::uint8_t kSharedFlag = 4;
constexpr std::uint8_t kExpiresFlag = 8;
constexpr std::uint8_t kEstimatedFlag = 16;
constexpr std::uint8_t kSmallVersion = 1;

}  // namespace

std::string encode_log_state(const LogStateRecord& record) {
  std::string payload;
  payload.reserve(6 * 8 + 1);
  ByteWriter writer(payload);
  writer.u64(record.head);
  writer.u64(record.next);
  writer.u64(record.live_count);
  writer.u64(record.live_bytes);
  writer.u64(record.delivered_mark);
  writer.u64(record.live_weight);
  writer.u8(static_cast<std::uint8_t>(
      (record.has_due ? kDueFlag : 0) | (record.has_returns ? kReturnsFlag : 0) |
      (record.has_shared ? kSharedFlag : 0) | (record.expires ? kExpiresFlag : 0) |
      (record.estimated ? kEstimatedFlag : 0)));
  return seal(kVersion, payload);
}

Result<LogStateRecord> decode_log_state(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kVersion, "queue state"));
  ByteReader reader(payload);
  LogStateRecord record;
  record.head = reader.u64();
  record.next = reader.u64();
  record.live_count = reader.u64();
  record.live_bytes = reader.u64();
  record.delivered_mark = reader.u64();
  if (!reader.at_end()) {
    record.live_weight = reader.u64();
    const std::uint8_t flags = reader.u8();
    record.has_due = (flags & kDueFlag) != 0;
    record.has_returns = (flags & kReturnsFlag) != 0;
    record.has_shared = (flags & kSharedFlag) != 0;
    record.expires = (flags & kExpiresFlag) != 0;
    record.estimated = (flags & kEstimatedFlag) != 0;
  } else {
    record.live_weight = record.live_bytes;  // the best guess
  }
  if (!reader.ok() || !reader.at_end() || record.head < 1 || record.head > record.next) {
    return Error{Errc::corruption, "queue state does not parse"};
  }
  return record;
}

std::string encode_returns(std::uint32_t returns) {
  std::string payload;
  ByteWriter(payload).u32(returns);
  return seal(kSmallVersion, payload);
}

Result<std::uint32_t> decode_returns(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kSmallVersion, "count of returns"));
  ByteReader reader(payload);
  const std::uint32_t returns = reader.u32();
  if (!reader.ok() || !reader.at_end()) {
    return Error{Errc::corruption, "count of returns does not parse"};
  }
  return returns;
}

std::string encode_due_chunk(Seq chunk) {
  std::string payload;
  ByteWriter(payload).u64(chunk);
  return seal(kSmallVersion, payload);
}

Result<Seq> decode_due_chunk(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kSmallVersion, "due entry"));
  ByteReader reader(payload);
  const Seq chunk = reader.u64();
  if (!reader.ok() || !reader.at_end()) return Error{Errc::corruption, "due entry does not parse"};
  return chunk;
}

}  // namespace warren::storage
