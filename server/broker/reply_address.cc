// SPDX-License-Identifier: Apache-2.0
#include "server/broker/reply_address.h"

#include <charconv>

#include <fmt/format.h>

namespace warren::broker {
namespace {

template <class T>
bool read_hex(std::string_view& text, T& out) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + dot, out, 16);
  if (error != std::errc{} || stop != text.data() + dot) return false;
  text.remove_prefix(dot + 1);
  return true;
}

}  // namespace

std::string make_reply_address(ChannelKey channel, std::string_view secret) {
  std::string name =
      fmt::format("{}.{:x}.{:x}.", kReplyQueue, channel.connection.value, channel.channel);
  for (const char byte : secret) {
    fmt::format_to(std::back_inserter(name), "{:02x}", static_cast<unsigned char>(byte));
  }
  return name;
}

std::optional<ChannelKey> read_reply_address(std::string_view name) {
  if (!is_reply_address(name)) return std::nullopt;
  name.remove_prefix(kReplyQueue.size() + 1);
  ChannelKey key;
  if (!read_hex(name, key.connection.value) || !read_hex(name, key.channel)) return std::nullopt;
  return key;
}

}  // namespace warren::broker
