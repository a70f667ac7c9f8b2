// SPDX-License-Identifier: Apache-2.0
// Keys of every family (S11).
#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/base/assert.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

void read_fixed(Bytes key) {
  if (const auto chunk = decode_chunk_key(key)) WARREN_ASSERT(encode_chunk_key(*chunk) == key);
  if (const auto log = decode_log_key(key)) WARREN_ASSERT(encode_log_key(*log) == key);
  if (const auto due = decode_due_key(key)) WARREN_ASSERT(encode_due_key(*due) == key);
  if (const auto body = decode_body_key(key)) WARREN_ASSERT(encode_body_key(*body) == key);
  if (const auto sweep = decode_sweep_key(key)) WARREN_ASSERT(encode_sweep_key(*sweep) == key);
  if (const auto message = decode_message_key(key)) {
    WARREN_ASSERT(encode_message_key(*message) == key);
  }
}

void read_parts(Bytes key) {
  Bytes rest = key;
  std::string again;
  while (const auto part = take_key_part(rest)) append_key_part(again, *part);
  WARREN_ASSERT(again == key.substr(0, key.size() - rest.size()));
}

// Byte order is the order of the parts.
void compare(Bytes one, Bytes other) {
  std::string first;
  std::string second;
  append_key_part(first, one);
  append_key_part(second, other);
  WARREN_ASSERT((one < other) == (first < second));
  WARREN_ASSERT(one == other || !second.starts_with(first));
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const warren::Bytes input(reinterpret_cast<const char*>(data), size);
  warren::storage::read_fixed(input);
  warren::storage::read_parts(input);
  warren::storage::compare(input.substr(0, size / 2), input.substr(size / 2));
  return 0;
}
