// SPDX-License-Identifier: Apache-2.0
// What the store knows about itself, kept under kStoreMetaKey (sealed protobuf).
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace warren::storage {

struct StoreMeta {
  std::string store_id;
  std::uint64_t log_id_limit = 1;  // ids below it may be in use or may have been
  bool clean_stop = false;
  std::uint64_t starts = 0;  // this one included; since format 2
};

std::string encode_store_meta(const StoreMeta& meta);
Result<StoreMeta> decode_store_meta(Bytes sealed);

}  // namespace warren::storage
