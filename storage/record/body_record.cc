// SPDX-License-Identifier: Apache-2.0
#include "storage/record/body_record.h"

#include "storage/base/assert.h"
#include "storage/record/envelope.h"

namespace warren::storage {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kBodyIdBytes = 16;

}  // namespace

std::string encode_body_ref(const BodyRef& ref) {
  std::string out;
  out.reserve(kBodyRefBytes);
  ByteWriter writer(out);
  writer.u64(ref.body.origin);
  writer.u64(ref.body.number);
  writer.u32(ref.bytes);
  return out;
}

BodyRef decode_body_ref(Bytes bytes) {
  WARREN_ASSERT(bytes.size() == kBodyRefBytes);
  ByteReader reader(bytes);
  BodyRef ref;
  ref.body.origin = reader.u64();
  ref.body.number = reader.u64();
  ref.bytes = reader.u32();
  return ref;
}

std::string encode_body(Bytes block) {
  return seal(kVersion, block);
}

Result<Bytes> decode_body(Bytes sealed) {
  return unseal(sealed, kVersion, "body");
}

std::string encode_body_count(std::uint64_t count) {
  std::string payload;
  ByteWriter(payload).u64(count);
  return seal(kVersion, payload);
}

Result<std::uint64_t> decode_body_count(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kVersion, "count of references"));
  ByteReader reader(payload);
  const std::uint64_t count = reader.u64();
  if (!reader.ok() || !reader.at_end() || count == 0) {
    return Error{Errc::corruption, "count of references does not parse"};
  }
  return count;
}

std::string encode_shared(std::span<const BodyId> bodies) {
  WARREN_ASSERT(!bodies.empty());
  std::string payload;
  payload.reserve(bodies.size() * kBodyIdBytes);
  ByteWriter writer(payload);
  for (const BodyId& body : bodies) {
    writer.u64(body.origin);
    writer.u64(body.number);
  }
  return seal(kVersion, payload);
}

Result<std::vector<BodyId>> decode_shared(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kVersion, "references"));
  if (payload.empty() || payload.size() % kBodyIdBytes != 0) {
    return Error{Errc::corruption, "references do not parse"};
  }
  std::vector<BodyId> out;
  out.reserve(payload.size() / kBodyIdBytes);
  for (ByteReader reader(payload); !reader.at_end();) {
    const std::uint64_t origin = reader.u64();
    out.push_back(BodyId{origin, reader.u64()});
    if (!out.back()) return Error{Errc::corruption, "references do not parse"};
  }
  return out;
}

std::string encode_sweep() {
  return seal(kVersion, {});
}

}  // namespace warren::storage
