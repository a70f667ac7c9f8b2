// SPDX-License-Identifier: Apache-2.0
// The wrapping of every small record: CRC32C (u32), version (u8), payload. The checksum covers
// version and payload, so that a flipped bit or a cut record is never taken for a good one (S7).
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace warren::storage {

inline constexpr std::size_t kEnvelopeBytes = 5;

std::string seal(std::uint8_t version, Bytes payload);

// The payload, a view into `sealed`; `what` names the kind of record in errors.
// Errc::corruption when the checksum fails,
// Errc::format_too_new when the version is above `version_max`.
Result<Bytes> unseal(Bytes sealed, std::uint8_t version_max, std::string_view what);

}  // namespace warren::storage
