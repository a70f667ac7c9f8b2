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

  friend bool operator==(const LogStateRecord&, const LogStateRecord&) = default;
};

std::string encode_log_state(const LogStateRecord& record);
Result<LogStateRecord> decode_log_state(Bytes sealed);

}  // namespace warren::storage
