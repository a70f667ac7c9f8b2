// SPDX-License-Identifier: Apache-2.0
#include "storage/record/envelope.h"

#include <fmt/format.h>

#include "storage/base/crc32c.h"

namespace warren::storage {

std::string seal(std::uint8_t version, Bytes payload) {
  std::string out;
  out.reserve(kEnvelopeBytes + payload.size());
  ByteWriter writer(out);
  writer.u32(0);
  writer.u8(version);
  writer.raw(payload);
  writer.patch_u32(0, crc32c(Bytes(out).substr(4)));
  return out;
}

Result<Bytes> unseal(Bytes sealed, std::uint8_t version_max, std::string_view what) {
  ByteReader reader(sealed);
  const std::uint32_t crc = reader.u32();
  const std::uint8_t version = reader.u8();
  if (!reader.ok()) return Error{Errc::corruption, fmt::format("{} record is cut short", what)};
  if (crc != crc32c(sealed.substr(4))) {
    return Error{Errc::corruption, fmt::format("{} record fails its checksum", what)};
  }
  if (version == 0 || version > version_max) {
    return Error{Errc::format_too_new, fmt::format("{} record has version {}", what, version)};
  }
  return sealed.substr(kEnvelopeBytes);
}

}  // namespace warren::storage
