// SPDX-License-Identifier: Apache-2.0
#include "storage/record/store_meta.h"

#include "storage/record/envelope.h"

#include "warren/store_meta.pb.h"

namespace warren::storage {
namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

std::string encode_store_meta(const StoreMeta& meta) {
  proto::StoreMeta out;
  out.set_store_id(meta.store_id);
  out.set_log_id_limit(meta.log_id_limit);
  out.set_clean_stop(meta.clean_stop);
  out.set_starts(meta.starts);
  return seal(kVersion, out.SerializeAsString());
}

Result<StoreMeta> decode_store_meta(Bytes sealed) {
  WARREN_TRY(const Bytes payload, unseal(sealed, kVersion, "store meta"));
  proto::StoreMeta in;
  if (!in.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Error{Errc::corruption, "store meta does not parse"};
  }
  return StoreMeta{in.store_id(), in.log_id_limit(), in.clean_stop(), in.starts()};
}

}  // namespace warren::storage
