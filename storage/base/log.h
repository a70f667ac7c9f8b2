// SPDX-License-Identifier: Apache-2.0
// Thin front over spdlog. One line per event: an event phrase first, then key=value.
// error: an operator must act. warn: something was refused or repaired. info: lifecycle and
// configuration. debug: one line per connection event. trace: frames. No payloads, no secrets.
#pragma once

#include <string_view>

#include <spdlog/spdlog.h>

#define WLOG(level, ...) ::spdlog::level(__VA_ARGS__)
