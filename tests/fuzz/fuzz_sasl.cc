// SPDX-License-Identifier: Apache-2.0
// start-ok's response, which anybody may send before logging in.
#include <cstddef>
#include <cstdint>

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"
#include "server/auth/sasl.h"

namespace warren::auth {
namespace {

void run(Bytes response) {
  const auto plain = parse_plain(response);
  WARREN_ASSERT(!plain || plain->user.size() + plain->password.size() + 2 <= response.size());

  // The general decoder of tables reads the same login.
  const auto amqplain = parse_amqplain(response);
  if (!amqplain || !amqp::valid_table(response)) return;
  const auto table = amqp::decode_table(response);
  WARREN_ASSERT(table.ok());
  WARREN_ASSERT(amqp::as_string(*table->find("LOGIN")) == amqplain->user);
  WARREN_ASSERT(amqp::as_string(*table->find("PASSWORD")) == amqplain->password);
}

}  // namespace
}  // namespace warren::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::auth::run(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
