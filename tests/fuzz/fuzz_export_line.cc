// SPDX-License-Identifier: Apache-2.0
// A line of an export: what is accepted writes back to a line that means the same.
#include <cstddef>
#include <cstdint>

#include <boost/json/serialize.hpp>

#include "storage/base/assert.h"
#include "storage/record/definition_record.h"

#include "server/broker/message.h"
#include "server/tools/dump/export_lines.h"

namespace warren::dump {
namespace {

constexpr std::int64_t kNow = 1795269552000;

void check(const ExportHead&) {}
void check(const ExportEnd& end) {
  const auto again = parse_export_line(boost::json::serialize(export_end(end.messages)), kNow);
  WARREN_ASSERT(again.ok() && std::get<ExportEnd>(*again).messages == end.messages);
}
void check(const storage::Definition& definition) {
  const auto again = parse_export_line(boost::json::serialize(export_definition(definition)), kNow);
  WARREN_ASSERT(again.ok());
  WARREN_ASSERT(storage::encode_definition(std::get<storage::Definition>(*again)) ==
                storage::encode_definition(definition));
}
void check(const ExportedMessage& message) {
  WARREN_ASSERT(message.block != nullptr && broker::valid_message(*message.block));
  const auto again = parse_export_line(boost::json::serialize(export_message(message)), kNow);
  WARREN_ASSERT(again.ok());
  WARREN_ASSERT(std::get<ExportedMessage>(*again).block->bytes() == message.block->bytes());
}

}  // namespace
}  // namespace warren::dump

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto line = warren::dump::parse_export_line({reinterpret_cast<const char*>(data), size},
                                                    warren::dump::kNow);
  if (line.ok()) std::visit([](const auto& one) { warren::dump::check(one); }, *line);
  return 0;
}
