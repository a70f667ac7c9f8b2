// SPDX-License-Identifier: Apache-2.0
// A hash that is the same on every shard, in every run and in every build: what routes by it must
// route alike after a restart.
#pragma once

#include <cstdint>

#include "storage/base/crc32c.h"

namespace warren::broker {

// A bijection that spreads neighbours (the finalizer of SplitMix64).
inline std::uint64_t mix_bits(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31);
}

inline std::uint64_t stable_hash(Bytes bytes) {
  return mix_bits(crc32c(bytes) + 0x9e3779b97f4a7c15U * (bytes.size() + 1));
}

}  // namespace warren::broker
