// SPDX-License-Identifier: Apache-2.0
// A message that is stored once for several logs: the body, how many references there are, and
// which chunk holds which of them. Layouts: storage/FORMAT.md. Keeps: S7.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"

namespace warren::storage {

// BodyId::origin is the number of the start, times this, plus the shard.
inline constexpr std::uint64_t kBodyOriginsPerStart = 1 << 16;

// What a chunk holds in the place of a block that is stored elsewhere.
struct BodyRef {
  BodyId body;
  std::uint32_t bytes = 0;  // of the block

  friend bool operator==(const BodyRef&, const BodyRef&) = default;
};
inline constexpr std::size_t kBodyRefBytes = 20;
// What a reference can say.
inline constexpr std::uint64_t kBodyBytesMax = 0xFFFFFFFF;

// Not sealed: the chunk's checksum covers it.
std::string encode_body_ref(const BodyRef& ref);
// REQUIRES: bytes.size() == kBodyRefBytes.
BodyRef decode_body_ref(Bytes bytes);

// The record of `bodies`.
std::string encode_body(Bytes block);
// A view into `sealed`.
Result<Bytes> decode_body(Bytes sealed);

// The record of body_counts: references in all chunks.
std::string encode_body_count(std::uint64_t count);
Result<std::uint64_t> decode_body_count(Bytes sealed);

// The record of queue_shared: the references of one chunk, in order of its entries.
std::string encode_shared(std::span<const BodyId> bodies);
Result<std::vector<BodyId>> decode_shared(Bytes sealed);

// The record of a sweep key says nothing beside its key.
std::string encode_sweep();

}  // namespace warren::storage
