// SPDX-License-Identifier: Apache-2.0
// What the two password mechanisms of AMQP put into start-ok's response.
#pragma once

#include <optional>
#include <string>

#include "storage/base/bytes.h"

namespace warren::auth {

struct Credentials {
  std::string user;
  std::string password;
};

// PLAIN (RFC 4616): authzid NUL user NUL password. The authzid is ignored: nobody acts for another.
std::optional<Credentials> parse_plain(Bytes response);

// AMQPLAIN: the content of a field table of long strings, LOGIN and PASSWORD among them.
std::optional<Credentials> parse_amqplain(Bytes response);

}  // namespace warren::auth
