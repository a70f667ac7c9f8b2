// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/output.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "storage/base/log.h"

namespace warren::dump {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string cell_text(const boost::json::value& value) {
  if (value.is_string()) return printable(std::string_view(value.get_string()));
  if (value.is_bool()) return value.get_bool() ? "yes" : "";
  if (value.is_null()) return "";
  if (value.is_object() && value.get_object().empty()) return "";
  return boost::json::serialize(value);
}

// Length of the UTF-8 sequence at the front of `bytes`; 0 when it is none.
std::size_t sequence_length(Bytes bytes) {
  const auto lead = static_cast<std::uint8_t>(bytes[0]);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < length) return 0;
  const auto second = static_cast<std::uint8_t>(bytes[1]);
  // No overlong forms, no surrogates, nothing above U+10FFFF.
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<std::uint8_t>(bytes[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<std::uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace

void Listing::add(const boost::json::object& row) {
  if (style_ == Style::json) {
    print_json(row);
    return;
  }
  std::vector<std::string> cells;
  for (const std::string& column : columns_) {
    const auto* const value = row.if_contains(column);
    cells.push_back(value == nullptr ? "" : cell_text(*value));
  }
  rows_.push_back(std::move(cells));
}

void Listing::finish() {
  if (style_ == Style::json) return;
  std::vector<std::size_t> widths;
  for (const std::string& column : columns_) widths.push_back(column.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 2 - display_width(row[i]), ' ');
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    print_line(line);
  };
  print_row(columns_);
  for (const auto& row : rows_) print_row(row);
}

void print_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void print_json(const boost::json::object& object) {
  print_line(boost::json::serialize(object));
}

bool is_utf8(Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string to_base64(Bytes bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t left = std::min<std::size_t>(bytes.size() - at, 3);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < left ? static_cast<std::uint8_t>(bytes[at + i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out.push_back(i <= left ? kBase64[group >> (18 - 6 * i) & 63] : '=');
    }
  }
  return out;
}

bool from_base64(std::string_view text, std::string& out) {
  out.clear();
  if (text.size() % 4 != 0) return false;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t group = 0;
    std::size_t digits = 0;
    for (; digits < 4 && text[at + digits] != '='; ++digits) {
      const std::size_t value = kBase64.find(text[at + digits]);
      if (value == std::string_view::npos) return false;
      group |= static_cast<std::uint32_t>(value) << (18 - 6 * digits);
    }
    const bool last = at + 4 == text.size();
    if (digits < 2 || (digits < 4 && !last)) return false;
    if (digits == 2 && text[at + 3] != '=') return false;
    for (std::size_t i = 0; i + 1 < digits; ++i) {
      out.push_back(static_cast<char>(group >> (16 - 8 * i) & 0xFF));
    }
  }
  return true;
}

void put_bytes(boost::json::object& object, std::string_view name, Bytes bytes) {
  if (is_utf8(bytes)) {
    object[name] = std::string_view(bytes);
  } else {
    object[std::string(name) + "_base64"] = to_base64(bytes);
  }
}

bool get_bytes(const boost::json::object& object, std::string_view name, std::string& out) {
  if (const auto* const plain = object.if_contains(name); plain != nullptr) {
    if (!plain->is_string()) return false;
    out = std::string_view(plain->get_string());
    return true;
  }
  const auto* const encoded = object.if_contains(std::string(name) + "_base64");
  return encoded != nullptr && encoded->is_string() &&
         from_base64(std::string_view(encoded->get_string()), out);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string time_text(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  if (unix_ms < 0 || ::gmtime_r(&seconds, &parts) == nullptr) return std::to_string(unix_ms);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     unix_ms % 1000);
}

bool parse_time(std::string_view text, std::int64_t now_ms, std::int64_t& unix_ms) {
  // An age.
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && number >= 0 && end + 1 == text.data() + text.size()) {
    constexpr std::string_view kUnits = "smhd";
    constexpr std::array<std::int64_t, 4> kSeconds = {1, 60, 3600, 86400};
    const std::size_t unit = kUnits.find(*end);
    if (unit == std::string_view::npos || number > 1'000'000'000) return false;
    unix_ms = now_ms - number * kSeconds[unit] * 1000;
    return true;
  }
  // A moment: the missing parts are those of the first moment that begins so.
  constexpr std::string_view kShape = "0000-01-01T00:00:00.000Z";
  if (text.size() < 10 || text.size() > kShape.size()) return false;
  std::string full(text);
  full += kShape.substr(text.size());
  for (std::size_t i = 0; i < full.size(); ++i) {
    const bool digit = full[i] >= '0' && full[i] <= '9';
    const bool wants_digit = kShape[i] >= '0' && kShape[i] <= '9';
    const bool separator = full[i] == kShape[i] || (kShape[i] == 'T' && full[i] == ' ');
    if (wants_digit ? !digit : !separator) return false;
  }
  const auto part = [&](std::size_t at, std::size_t size) {
    int value = 0;
    std::from_chars(full.data() + at, full.data() + at + size, value);
    return value;
  };
  std::tm parts{};
  parts.tm_year = part(0, 4) - 1900;
  parts.tm_mon = part(5, 2) - 1;
  parts.tm_mday = part(8, 2);
  parts.tm_hour = part(11, 2);
  parts.tm_min = part(14, 2);
  parts.tm_sec = part(17, 2);
  unix_ms = static_cast<std::int64_t>(::timegm(&parts)) * 1000 + part(20, 3);
  full[10] = 'T';
  return time_text(unix_ms) == full;  // and no 31st of February
}

std::string hex_text(Bytes bytes) {
  constexpr std::size_t kWidth = 16;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += kWidth) {
    const Bytes row = bytes.substr(at, kWidth);
    out += fmt::format("  {:08x} ", at);
    for (std::size_t i = 0; i < kWidth; ++i) {
      if (i % 8 == 0) out.push_back(' ');
      out += i < row.size() ? fmt::format("{:02x} ", static_cast<std::uint8_t>(row[i])) : "   ";
    }
    out += " |";
    for (const char c : row) out.push_back(c >= ' ' && c <= '~' ? c : '.');
    out += "|\n";
  }
  return out;
}

}  // namespace warren::dump
