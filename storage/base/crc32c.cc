// SPDX-License-Identifier: Apache-2.0
#include "storage/base/crc32c.h"

#include <isa-l/crc.h>

namespace warren {

std::uint32_t crc32c(Bytes bytes, std::uint32_t before) {
  // ISA-L counts in int and does not write through its pointer; it neither inverts before nor
  // after.
  constexpr std::size_t kStep = std::size_t{1} << 30;
  std::uint32_t crc = before ^ 0xFFFFFFFFu;
  while (!bytes.empty()) {
    const Bytes part = bytes.substr(0, kStep);
    auto* const data = reinterpret_cast<unsigned char*>(const_cast<char*>(part.data()));
    crc = crc32_iscsi(data, static_cast<int>(part.size()), crc);
    bytes.remove_prefix(part.size());
  }
  return crc ^ 0xFFFFFFFFu;
}

}  // namespace warren
