// SPDX-License-Identifier: Apache-2.0
// The state of a log, of each version; the first octet chooses it. And the small records beside it.
#include <cstddef>
#include <cstdint>

#include "storage/base/assert.h"
#include "storage/record/body_record.h"
#include "storage/record/envelope.h"
#include "storage/record/log_state_record.h"

namespace warren::storage {
namespace {

void read(std::uint8_t version, Bytes payload) {
  const std::string sealed = seal(version, payload);
  if (const auto state = decode_log_state(sealed); state.ok()) {
    WARREN_ASSERT(state->head >= 1 && state->head <= state->next);
    const auto again = decode_log_state(encode_log_state(*state));
    WARREN_ASSERT(again.ok() && *again == *state);
  }
  if (const auto returns = decode_returns(sealed); returns.ok()) {
    WARREN_ASSERT(decode_returns(encode_returns(*returns)).value() == *returns);
  }
  if (const auto chunk = decode_due_chunk(sealed); chunk.ok()) {
    WARREN_ASSERT(decode_due_chunk(encode_due_chunk(*chunk)).value() == *chunk);
  }
  if (const auto count = decode_body_count(sealed); count.ok()) {
    WARREN_ASSERT(decode_body_count(encode_body_count(*count)).value() == *count);
  }
  if (const auto bodies = decode_shared(sealed); bodies.ok()) {
    WARREN_ASSERT(decode_shared(encode_shared(*bodies)).value() == *bodies);
  }
}

}  // namespace
}  // namespace warren::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const warren::Bytes input(reinterpret_cast<const char*>(data), size);
  static_cast<void>(warren::storage::decode_log_state(input));
  if (size > 0) warren::storage::read(data[0], input.substr(1));
  return 0;
}
