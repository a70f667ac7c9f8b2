// SPDX-License-Identifier: Apache-2.0
// XXH3 with 64 bits, no seed: the hash under the checksums of RocksDB's tables
// (github.com/Cyan4973/ xxHash, doc/xxhash_spec.md). Plain C++: for repairs, not for hot paths.
#pragma once

#include <cstdint>

#include "storage/base/bytes.h"

namespace warren::storage {

std::uint64_t xxh3(Bytes bytes);

}  // namespace warren::storage
