// SPDX-License-Identifier: Apache-2.0
// The payload of a settled set, sealed.
#include <cstddef>
#include <cstdint>

#include "storage/base/assert.h"
#include "storage/record/ack_set.h"
#include "storage/record/envelope.h"

namespace warren::storage {
namespace {

void read(Bytes payload) {
  const auto set = AckSet::decode(seal(1, payload));
  if (!set.ok()) return;
  std::uint32_t settled = 0;
  for (std::uint32_t i = 0; i < set->count(); ++i) settled += set->test(i) ? 1 : 0;
  WARREN_ASSERT(settled == set->settled());
  const auto again = AckSet::decode(set->encode());
  WARREN_ASSERT(again.ok() && *again == *set);
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const warren::Bytes input(reinterpret_cast<const char*>(data), size);
  static_cast<void>(warren::storage::AckSet::decode(input));
  warren::storage::read(input);
  return 0;
}
