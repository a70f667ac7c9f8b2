// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/body_sizes.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr std::uint64_t kWeightMax = 1'000'000'000;

// The whole text as a number of at most `max`.
bool parse_number(std::string_view text, std::uint64_t max, std::uint64_t& out) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && stop == text.data() + text.size() && out <= max;
}

Error bad_sizes(std::string_view text) {
  return Error{Errc::invalid_argument,
               fmt::format("'{}' is no body size: write 1024, 4KiB, a range as 16-4096, or sizes "
                           "with weights as 16:50,1024:30,65536:20",
                           text)};
}

}  // namespace

Result<std::uint32_t> parse_bytes(std::string_view text) {
  std::string_view digits = text;
  std::uint64_t unit = 1;
  const std::pair<std::string_view, std::uint64_t> units[] = {
      {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"K", 1 << 10}, {"M", 1 << 20}, {"B", 1}};
  for (const auto& [name, factor] : units) {
    if (!digits.ends_with(name)) continue;
    digits.remove_suffix(name.size());
    unit = factor;
    break;
  }
  std::uint64_t value = 0;
  if (!parse_number(digits, kBodyBytesMax / unit, value)) return bad_sizes(text);
  return static_cast<std::uint32_t>(value * unit);
}

Result<BodySizes> BodySizes::parse(std::string_view text) {
  BodySizes sizes;
  sizes.parts_.clear();
  sizes.weights_ = 0;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    Part part;
    if (const std::size_t colon = item.find(':'); colon != item.npos) {
      if (!parse_number(item.substr(colon + 1), kWeightMax, part.weight)) return bad_sizes(text);
      item = item.substr(0, colon);
    }
    const std::size_t dash = item.find('-');
    WARREN_TRY(part.from, parse_bytes(item.substr(0, dash)));
    part.to = part.from;
    if (dash != item.npos) {
      WARREN_TRY(part.to, parse_bytes(item.substr(dash + 1)));
    }
    if (part.to < part.from) return bad_sizes(text);
    sizes.weights_ += part.weight;
    sizes.parts_.push_back(part);
    if (comma == rest.npos) break;
    rest = rest.substr(comma + 1);
  }
  if (sizes.weights_ == 0) return bad_sizes(text);
  return sizes;
}

std::uint32_t BodySizes::pick(Random& random) const {
  std::uint64_t point = random.next() % weights_;
  const Part* part = parts_.data();
  while (point >= part->weight) {
    point -= part->weight;
    ++part;
  }
  return part->from +
         static_cast<std::uint32_t>(random.next() % (std::uint64_t{part->to} - part->from + 1));
}

std::uint32_t BodySizes::smallest() const {
  std::uint32_t bytes = UINT32_MAX;
  for (const Part& part : parts_) bytes = std::min(bytes, part.from);
  return bytes;
}

std::uint32_t BodySizes::largest() const {
  std::uint32_t bytes = 0;
  for (const Part& part : parts_) bytes = std::max(bytes, part.to);
  return bytes;
}

double BodySizes::mean() const {
  double sum = 0;
  for (const Part& part : parts_) {
    sum += (static_cast<double>(part.from) + part.to) / 2 * static_cast<double>(part.weight);
  }
  return sum / static_cast<double>(weights_);
}

std::string BodySizes::text() const {
  std::string out;
  for (const Part& part : parts_) {
    if (!out.empty()) out += ",";
    out += fmt::format("{}", part.from);
    if (part.to != part.from) out += fmt::format("-{}", part.to);
    if (parts_.size() > 1) out += fmt::format(":{}", part.weight);
  }
  return out + " B";
}

}  // namespace warren::perf
