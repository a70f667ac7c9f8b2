// SPDX-License-Identifier: Apache-2.0
// The wrapping of small records: what was not sealed is never taken, what was always is.
#include <cstddef>
#include <cstdint>

#include "storage/base/assert.h"
#include "storage/record/envelope.h"

namespace warren::storage {
namespace {

void read(Bytes input) {
  if (const auto payload = unseal(input, UINT8_MAX, "record"); payload.ok()) {
    WARREN_ASSERT(seal(static_cast<std::uint8_t>(input[4]), *payload) == input);
  }
  std::string sealed = seal(7, input);
  WARREN_ASSERT(unseal(sealed, 7, "record").value() == input);
  WARREN_ASSERT(unseal(sealed, 6, "record").error().code == Errc::format_too_new);
  if (input.empty()) return;
  // One octet changed, anywhere.
  const std::size_t at = static_cast<std::uint8_t>(input[0]) % sealed.size();
  sealed[at] = static_cast<char>(sealed[at] ^ 0x20);
  WARREN_ASSERT(!unseal(sealed, UINT8_MAX, "record").ok());
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::storage::read(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
