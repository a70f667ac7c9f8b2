// SPDX-License-Identifier: Apache-2.0
// Gives RocksDB a fast CRC32C. Linked in by being asked for.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rocksdb::crc32c {
std::uint32_t Extend(std::uint32_t init_crc, const char* data, std::size_t n);
}  // namespace rocksdb::crc32c

namespace warren::storage {

// Does RocksDB compute its checksums with the function of this program?
bool rocks_crc32c_is_fast();

}  // namespace warren::storage
