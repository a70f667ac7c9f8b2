// SPDX-License-Identifier: Apache-2.0
// Properties that fit into one frame: x-death grows with each death, and a header frame cannot be
// split.
#pragma once

#include <optional>
#include <string>

#include "storage/base/bytes.h"

namespace warren::session {

// The properties in at most `bytes_max` bytes: of x-death the oldest entries are left out, as many
// as need be. Nothing: that is not enough.
std::optional<std::string> fit_properties(Bytes properties, std::size_t bytes_max);

}  // namespace warren::session
