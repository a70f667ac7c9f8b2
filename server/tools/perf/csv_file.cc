// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/csv_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace warren::perf {
namespace {

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t comma = line.find(',');
    out.push_back(line.substr(0, comma));
    if (comma == line.npos) return out;
    line = line.substr(comma + 1);
  }
}

bool parse_row(std::string_view line, std::vector<std::optional<double>>& row) {
  for (const std::string_view field : split(line)) {
    if (field.empty()) {
      row.emplace_back();
      continue;
    }
    double value = 0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc{} || stop != field.data() + field.size()) return false;
    if (!std::isfinite(value)) return false;
    row.emplace_back(value);
  }
  return true;
}

}  // namespace

std::optional<std::size_t> CsvFile::find(std::string_view column) const {
  const auto at = std::find(columns.begin(), columns.end(), column);
  if (at == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(at - columns.begin());
}

Result<CsvFile> parse_csv(std::string_view text) {
  CsvFile file;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text = text.substr(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (number == 1) {
      for (const std::string_view name : split(line)) file.columns.emplace_back(name);
      continue;
    }
    if (line.empty()) continue;
    std::vector<std::optional<double>> row;
    if (!parse_row(line, row) || row.size() != file.columns.size()) {
      return Error{Errc::invalid_argument,
                   fmt::format("line {} is not {} numbers", number, file.columns.size())};
    }
    file.rows.push_back(std::move(row));
  }
  if (file.rows.empty()) return Error{Errc::invalid_argument, "there are no rows in it"};
  return file;
}

Result<CsvFile> read_csv(const std::string& path) {
  std::ifstream in(path);
  if (!in) {
    return Error{Errc::invalid_argument, fmt::format("{}: {}", path, std::strerror(errno))};
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  auto file = parse_csv(text);
  if (!file.ok()) return Error{file.error().code, fmt::format("{}: {}", path, file.error().text)};
  return file;
}

}  // namespace warren::perf
