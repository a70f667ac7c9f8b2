// SPDX-License-Identifier: Apache-2.0
// The headers in which a queue that counts says how often a message came back: x-delivery-count and
// x-acquired-count, as quorum queues have them (docs/compatibility.md, x-delivery-limit).
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/bytes.h"

namespace warren::session {

// `properties`: flag word and list of a stored message.
std::string with_delivery_count(Bytes properties, std::uint32_t returns);

}  // namespace warren::session
