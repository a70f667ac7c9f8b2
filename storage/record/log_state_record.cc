// SPDX-License-Identifier: Apache-2.0
#include "storage/record/log_state_record.h"

#include "storage/record/envelope.h"

namespace warren::storage {
namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

std::string encode_log_state(const LogStateRecord& record) {
  std::string payload;
  payload.reserve(5 * 8);
  ByteWriter writer(payload);
  writer.u64(record.head);
  writer.u64(record.next);
  writer.u64(record.live_count);
  writer.u64(record.live_bytes);
  writer.u64(record.delivered_mark);
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
  if (!reader.ok() || !reader.at_end() || record.head < 1 || record.head > record.next) {
    return Error{Errc::corruption, "queue state does not parse"};
  }
  return record;
}

}  // namespace warren::storage
