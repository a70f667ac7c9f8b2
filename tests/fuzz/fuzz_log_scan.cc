// SPDX-License-Identifier: Apache-2.0
// The framing of RocksDB's write-ahead logs and manifests, as the doctor reads it.
#include <cstddef>
#include <cstdint>

#include "storage/base/assert.h"
#include "storage/kv/log_scan.h"
#include "storage/kv/rocks_doctor.h"

namespace warren::storage {
namespace {

void read(Bytes file) {
  const LogScan scan = scan_log(file);
  WARREN_ASSERT(scan.good_bytes <= file.size());
  if (scan.end != LogScan::End::clean) WARREN_ASSERT(scan.damage_at <= file.size());
  // What is good stays good on its own.
  WARREN_ASSERT(scan_log(file.substr(0, scan.good_bytes)).end == LogScan::End::clean);
  const std::uint64_t sound = sound_manifest_bytes(file);
  WARREN_ASSERT(sound == file.size() || sound == scan.good_bytes);
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::storage::read(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
