// SPDX-License-Identifier: Apache-2.0
// Definitions <-> bytes (sealed: kind, protobuf). The value repeats what the key says, so that a
// record under a wrong key is noticed.
#pragma once

#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/record/definitions.h"

namespace warren::storage {

std::string encode_definition(const Definition& definition);
Result<Definition> decode_definition(Bytes key, Bytes value);
// Without a look at the key.
Result<Definition> parse_definition(Bytes value);

}  // namespace warren::storage
