// SPDX-License-Identifier: Apache-2.0
// What the commands print with: aligned tables for people, one JSON object a line for programs, and
// how bytes that need not be text become either.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "storage/base/bytes.h"

namespace warren::dump {

enum class Style : std::uint8_t { table, json };

// Rows of one kind. Json: printed at once. Table: kept until finish(), which knows the widths.
// Bound: what is listed so are definitions and logs, never messages.
class Listing {
 public:
  Listing(Style style, std::vector<std::string> columns)
      : style_(style), columns_(std::move(columns)) {}

  // `row` has the columns' names as keys; in a table missing ones are blank.
  void add(const boost::json::object& row);
  void finish();

 private:
  const Style style_;
  const std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

void print_line(std::string_view line);
void print_json(const boost::json::object& object);

bool is_utf8(Bytes bytes);
std::string to_base64(Bytes bytes);
// Nothing when it is no base64.
bool from_base64(std::string_view text, std::string& out);
// `name` when the bytes are UTF-8, else `name`_base64.
void put_bytes(boost::json::object& object, std::string_view name, Bytes bytes);
// What put_bytes wrote. False when neither is there or it is malformed.
bool get_bytes(const boost::json::object& object, std::string_view name, std::string& out);

// 1536 -> "1.5 KiB"
std::string bytes_text(std::uint64_t bytes);
// Milliseconds since the epoch as "2026-11-21T13:09:02.123Z".
std::string time_text(std::int64_t unix_ms);
// What time_text gives (parts may be missing from the right), or "90s", "15m", "2h", "7d" ago.
bool parse_time(std::string_view text, std::int64_t now_ms, std::int64_t& unix_ms);
// Offset, sixteen octets and their ASCII a line, each line indented.
std::string hex_text(Bytes bytes);

}  // namespace warren::dump
