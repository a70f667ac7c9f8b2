// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/rules_document.h"

#include <algorithm>
#include <map>
#include <sstream>

#include <fmt/format.h>

namespace warren::conformance {
namespace {

constexpr std::string_view kCaseLine = "   - ";
constexpr std::string_view kCaseLineGoesOn = "     ";
constexpr std::size_t kColumnsMax = 120;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) lines.push_back(std::move(line));
  return lines;
}

// "12. Field tables ..." -> 12; 0 for other lines.
int rule_of(const std::string& line) {
  const std::size_t dot = line.find(". ");
  if (dot == std::string::npos || dot == 0) return 0;
  if (line.find_first_not_of("0123456789") != dot) return 0;
  return std::stoi(line.substr(0, dot));
}

bool is_case_line(const std::string& line) {
  return line.starts_with(kCaseLine) || line.starts_with(kCaseLineGoesOn);
}

// "   - queue/declare: One, Two", wrapped.
void append_cases(std::string& out, const std::string& file,
                  const std::vector<std::string>& names) {
  std::string line = fmt::format("{}{}:", kCaseLine, file);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string piece = names[i] + (i + 1 < names.size() ? "," : "");
    if (line.size() + 1 + piece.size() > kColumnsMax) {
      out += line + "\n";
      line = std::string(kCaseLineGoesOn) + piece;
    } else {
      line += " " + piece;
    }
  }
  out += line + "\n";
}

}  // namespace

std::string refresh_rules(std::string_view document, const std::vector<Case>& cases) {
  std::map<int, std::map<std::string, std::vector<std::string>>> by_rule;
  for (const Case& one : cases) {
    for (const int rule : one.rules) by_rule[rule][one.file].push_back(one.name);
  }
  std::string out;
  int rule = 0;
  const auto finish_rule = [&] {
    for (const auto& [file, names] : by_rule[rule]) append_cases(out, file, names);
    rule = 0;
  };
  for (const std::string& line : lines_of(document)) {
    if (is_case_line(line)) continue;
    const int next = rule_of(line);
    if (rule != 0 && (next != 0 || line.empty())) finish_rule();
    if (next != 0) rule = next;
    out += line + "\n";
  }
  if (rule != 0) finish_rule();
  return out;
}

std::vector<std::string> rule_problems(std::string_view document, const std::vector<Case>& cases) {
  std::vector<std::string> problems;
  std::map<int, bool> checked;
  int rule = 0;
  for (const std::string& line : lines_of(document)) {
    const int next = rule_of(line);
    if (next != 0 && checked.contains(next)) problems.push_back(fmt::format("rule {} twice", next));
    if (next != 0) rule = next;
    if (rule == 0) continue;
    bool& is_checked = checked[rule];
    is_checked = is_checked || line.find("Elsewhere:") != std::string::npos ||
                 line.find("Not yet:") != std::string::npos;
  }
  for (const Case& one : cases) {
    if (one.rules.empty()) problems.push_back(one.full_name() + " has no rule");
    for (const int number : one.rules) {
      const auto known = checked.find(number);
      if (known == checked.end()) {
        problems.push_back(fmt::format("{} has rule {}, which is none", one.full_name(), number));
      } else {
        known->second = true;
      }
    }
  }
  for (const auto& [number, is_checked] : checked) {
    if (!is_checked) problems.push_back(fmt::format("rule {} is checked nowhere", number));
  }
  return problems;
}

}  // namespace warren::conformance
