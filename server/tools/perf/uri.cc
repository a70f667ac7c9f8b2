// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/uri.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace warren::perf {
namespace {

std::optional<unsigned> hex_octet(std::string_view digits) {
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + 2, value, 16);
  if (error != std::errc{} || stop != digits.data() + 2) return std::nullopt;
  return value;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const std::optional<unsigned> octet = hex_octet(text.substr(i + 1, 2));
    if (!octet) return std::nullopt;
    out += static_cast<char>(*octet);
    i += 2;
  }
  return out;
}

bool read_credentials(std::string_view text, Uri& uri) {
  const std::size_t colon = text.find(':');
  const std::optional<std::string> user = decode(text.substr(0, colon));
  if (!user) return false;
  uri.user = *user;
  if (colon == std::string_view::npos) return true;
  const std::optional<std::string> password = decode(text.substr(colon + 1));
  if (!password) return false;
  uri.password = *password;
  return true;
}

bool read_address(std::string_view text, Uri& uri) {
  const std::size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && text.find(']', colon) == text.npos;
  std::string_view host = text.substr(0, has_port ? colon : text.npos);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (!host.empty()) uri.host = host;
  if (!has_port) return true;
  const std::string_view port = text.substr(colon + 1);
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error != std::errc{} || stop != port.data() + port.size()) return false;
  if (value == 0 || value > 65535) return false;
  uri.port = static_cast<std::uint16_t>(value);
  return true;
}

// Messages end up in logs: no password in them.
std::string without_credentials(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::string(text);
  const std::size_t scheme = text.find("://");
  const std::size_t from = scheme == std::string_view::npos || scheme > at ? 0 : scheme + 3;
  return fmt::format("{}...{}", text.substr(0, from), text.substr(at));
}

}  // namespace

Result<Uri> parse_uri(std::string_view text) {
  constexpr std::string_view kScheme = "amqp://";
  const Error bad{Errc::invalid_argument,
                  fmt::format("'{}' is no amqp://user:password@host:port/vhost",
                              without_credentials(text))};
  if (!text.starts_with(kScheme)) return bad;
  std::string_view rest = text.substr(kScheme.size());
  Uri uri;
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    const std::optional<std::string> vhost = decode(rest.substr(slash + 1));
    if (!vhost) return bad;
    if (!vhost->empty()) uri.vhost = *vhost;
    rest = rest.substr(0, slash);
  }
  const std::size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    if (!read_credentials(rest.substr(0, at), uri)) return bad;
    rest = rest.substr(at + 1);
  }
  if (!read_address(rest, uri)) return bad;
  return uri;
}

}  // namespace warren::perf
