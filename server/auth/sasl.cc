// SPDX-License-Identifier: Apache-2.0
#include "server/auth/sasl.h"

#include <utility>

namespace warren::auth {

std::optional<Credentials> parse_plain(Bytes response) {
  const std::size_t user_at = response.find('\0');
  if (user_at == Bytes::npos) return std::nullopt;
  const Bytes user_and_password = response.substr(user_at + 1);
  const std::size_t separator = user_and_password.find('\0');
  if (separator == Bytes::npos) return std::nullopt;
  const Bytes password = user_and_password.substr(separator + 1);
  if (password.find('\0') != Bytes::npos) return std::nullopt;
  return Credentials{.user = std::string(user_and_password.substr(0, separator)),
                     .password = std::string(password)};
}

// Read by hand: a table of long strings alone needs no codec, and auth stays below server/amqp.
std::optional<Credentials> parse_amqplain(Bytes response) {
  constexpr std::uint8_t kLongString = 'S';
  std::optional<Bytes> login;
  std::optional<Bytes> password;
  ByteReader in(response);
  while (in.ok() && !in.at_end()) {
    const Bytes name = in.raw(in.u8());
    if (in.u8() != kLongString) return std::nullopt;
    const Bytes value = in.raw(in.u32());
    if (name == "LOGIN" && !login) login = value;
    if (name == "PASSWORD" && !password) password = value;
  }
  if (!in.ok() || !login || !password) return std::nullopt;
  return Credentials{.user = std::string(*login), .password = std::string(*password)};
}

}  // namespace warren::auth
