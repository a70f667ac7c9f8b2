// SPDX-License-Identifier: Apache-2.0
// The checkpoint of one log: constant size, rewritten in the same batch as the chunks it counts.
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"

namespace warren::storage {

struct LogStateRecord {
  Seq head = 1;
  Seq next = 1;
  std::uint64_t live_count = 0;
  std::uint64_t live_bytes = 0;
  Seq delivered_mark = 0;
  std::uint64_t live_weight = 0;  // since version 2
  bool has_due = false;           // since version 2: queue_due may have entries
  bool has_returns = false;       // since version 2: queue_returns may have records
  bool expires = false;           // since version 2: some message may have a deadline
  bool estimated = false;         // since store format 2: losses were met (S7)
  bool has_shared = false;        // since store format 2: queue_shared may have records

  friend bool operator==(const LogStateRecord&, const LogStateRecord&) = default;
};

std::string encode_log_state(const LogStateRecord& record);
Result<LogStateRecord> decode_log_state(Bytes sealed);

// The record of queue_returns.
std::string encode_returns(std::uint32_t returns);
Result<std::uint32_t> decode_returns(Bytes sealed);

// What a due entry carries: the base of the chunk that holds its message.
std::string encode_due_chunk(Seq chunk);
Result<Seq> decode_due_chunk(Bytes sealed);

}  // namespace warren::storage
