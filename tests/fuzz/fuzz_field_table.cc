// SPDX-License-Identifier: Apache-2.0
// The content of a field table.
#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"

namespace warren::amqp {
namespace {

std::string encoded(const FieldTable& table) {
  std::string out;
  encode_table(out, table);
  return out;
}

// Decoding and checking agree; encoding gives the same bytes, once booleans are 0 or 1.
void run(Bytes content) {
  const Result<FieldTable> table = decode_table(content);
  WARREN_ASSERT(table.ok() == valid_table(content));
  if (!table.ok()) return;
  const std::string once = encoded(*table);
  WARREN_ASSERT(once.size() == content.size());
  const Result<FieldTable> again = decode_table(once);
  WARREN_ASSERT(again.ok());
  WARREN_ASSERT(encoded(*again) == once);
  for (const FieldEntry& entry : table->entries()) {
    WARREN_ASSERT(table->contains(entry.name));
    WARREN_ASSERT(type_name(entry.value.type()) != "unknown");
    static_cast<void>(to_text(entry.value));
  }
}

}  // namespace
}  // namespace warren::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::amqp::run(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
