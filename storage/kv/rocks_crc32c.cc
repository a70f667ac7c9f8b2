// SPDX-License-Identifier: Apache-2.0
// RocksDB's checksum, by the processor's own instructions. Debian builds RocksDB for every x86-64
// and arm64 there is, which leaves it with tables: a quarter of the CPU of a persistent message of
// 1 KiB. This definition comes before the library's when the program is loaded, as one of malloc()
// would. A RocksDB that names its function otherwise just keeps its own.
#include "storage/kv/rocks_crc32c.h"

#include <dlfcn.h>

#include "storage/base/crc32c.h"

namespace rocksdb::crc32c {

// As in rocksdb/util/crc32c.h, which is not installed: of the bytes that gave `init_crc`, followed
// by these.
std::uint32_t Extend(std::uint32_t init_crc, const char* data, std::size_t n) {
  return warren::crc32c({data, n}, init_crc);
}

}  // namespace rocksdb::crc32c

namespace warren::storage {

bool rocks_crc32c_is_fast() {
  void* const used = ::dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
  return used == reinterpret_cast<void*>(&rocksdb::crc32c::Extend);
}

}  // namespace warren::storage
