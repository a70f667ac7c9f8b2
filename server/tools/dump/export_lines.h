// SPDX-License-Identifier: Apache-2.0
// The open format of `export` and `import`: one JSON object a line (docs/dump.md). Bytes that are
// not UTF-8 stand in NAME_base64 instead of NAME. What was exported imports to the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include <boost/json/object.hpp>

#include "storage/base/block.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/record/definitions.h"

namespace warren::dump {

inline constexpr std::uint64_t kExportFormat = 1;

struct ExportHead {
  std::uint64_t format = kExportFormat;
  std::string store_id;
};

struct ExportedMessage {
  std::string vhost;
  std::string queue;
  std::uint32_t lane = 0;  // which of the queue's logs
  std::uint32_t returns = 0;
  Seq seq = 0;  // for information: an import gives new ones
  BlockRef block;
};

struct ExportEnd {
  std::uint64_t messages = 0;
};

using ExportLine = std::variant<ExportHead, storage::Definition, ExportedMessage, ExportEnd>;

boost::json::object export_head(const std::string& store_id, std::int64_t now_ms);
boost::json::object export_definition(const storage::Definition& definition);
// REQUIRES: valid_message(block).
boost::json::object export_message(const ExportedMessage& message);
boost::json::object export_end(std::uint64_t messages);

// Errc::invalid_argument says what is wrong with the line; Errc::format_too_new for a head of a
// later format. A queue's log number is left 0: the importing store gives it one. `now_ms`: when a
// message was published that does not say it.
Result<ExportLine> parse_export_line(std::string_view line, std::int64_t now_ms);

}  // namespace warren::dump
