// SPDX-License-Identifier: Apache-2.0
// Definitions <-> bytes (sealed protobuf). The key says which kind it is; the value repeats the
// names, so that a record under a wrong key is noticed.
#pragma once

#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/record/definitions.h"

namespace warren::storage {

std::string encode_definition(const Definition& definition);
Result<Definition> decode_definition(Bytes key, Bytes value);

}  // namespace warren::storage
