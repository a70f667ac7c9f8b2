// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli, as in iSCSI, RFC 3720), from ISA-L, which picks the processor's own
// instructions.
#pragma once

#include <cstdint>

#include "storage/base/bytes.h"

namespace warren {

// Of the bytes that gave `before`, followed by these.
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0);

}  // namespace warren
