// SPDX-License-Identifier: Apache-2.0
// Thin front over spdlog. One line per event: an event phrase first, then key=value.
// error: an operator must act. warn: something was refused or repaired. info: lifecycle and
// configuration. debug: one line per connection event. trace: frames. No payloads, no secrets.
#pragma once

#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

#define WLOG(level, ...) ::spdlog::level(__VA_ARGS__)

namespace warren {

// Text that a peer supplied, fit for a log line: control characters and quotes are escaped, no more
// than `bytes_max` bytes are shown.
std::string printable(std::string_view text, std::size_t bytes_max = 255);

}  // namespace warren
