// SPDX-License-Identifier: Apache-2.0
// Bytes of field tables: check, decode, encode. "Content" is a table without its length prefix.
// Keeps: P7 (bounded depth, size and number of values, whatever comes in).
#pragma once

#include <cstddef>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/base/units.h"

#include "server/amqp/field_value.h"

namespace warren::amqp {

inline constexpr std::size_t kTableBytesMax = 1_MiB;
// The outermost table is level 1; a table or an array in it is level 2.
inline constexpr int kTableDepthMax = 32;
// In all levels together: what bounds the memory of a decoded table, as a value may be one byte.
inline constexpr std::size_t kTableValuesMax = 65'536;

// Everything that decode_table() checks, without allocation.
bool valid_table(Bytes content);

// Errc::invalid_argument when not valid_table(content).
Result<FieldTable> decode_table(Bytes content);

// Empty when there is nothing, or nothing valid.
FieldTable decode_or_empty(Bytes content);

// Appends the content without a length prefix. Decoded tables give the same bytes again, but for
// booleans that were sent as another octet than 0 or 1.
void encode_table(std::string& out, const FieldTable& table);

}  // namespace warren::amqp
