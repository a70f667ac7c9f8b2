// SPDX-License-Identifier: Apache-2.0
// The payload of a definition, sealed: the kind, then protobuf.
#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/base/assert.h"
#include "storage/record/definition_record.h"
#include "storage/record/envelope.h"
#include "storage/record/keys.h"
#include "storage/record/store_meta.h"

namespace warren::storage {
namespace {

void read(Bytes payload) {
  const std::string sealed = seal(1, payload);
  static_cast<void>(decode_store_meta(sealed));
  const auto definition = parse_definition(sealed);
  if (!definition.ok()) return;
  const std::string key = encode_definition_key(*definition);
  WARREN_ASSERT(decode_definition(key, sealed).ok());
  WARREN_ASSERT(!decode_definition(key + "x", sealed).ok());
  const std::string again = encode_definition(*definition);
  const auto second = decode_definition(key, again);
  WARREN_ASSERT(second.ok() && encode_definition(*second) == again);
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::storage::read(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
