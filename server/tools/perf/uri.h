// SPDX-License-Identifier: Apache-2.0
// amqp://user:password@host:port/vhost, as clients write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/result.h"

namespace warren::perf {

struct Uri {
  std::string host = "127.0.0.1";
  std::uint16_t port = 5672;
  std::string user = "guest";
  std::string password = "guest";
  std::string vhost = "/";
};

// What is left out keeps its default; user, password and vhost may be percent-encoded.
Result<Uri> parse_uri(std::string_view text);

}  // namespace warren::perf
