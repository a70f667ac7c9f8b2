// SPDX-License-Identifier: Apache-2.0
// The payload of a content header frame, properties included.
#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/base/assert.h"

#include "server/amqp/frame_writer.h"
#include "server/amqp/properties.h"

namespace warren::amqp {
namespace {

// Both layers write back to the bytes they were read from.
void run(Bytes payload) {
  ContentHeader header;
  if (!read_content_header(payload, header)) return;
  std::string frame_bytes;
  append_header_frame(frame_bytes, 1, header.class_id, header.body_size, header.raw_properties);
  Frame frame;
  WARREN_ASSERT(read_frame(frame_bytes, UINT32_MAX, frame) == FrameStatus::ok);
  WARREN_ASSERT(frame.payload == payload);

  PropertiesView properties;
  if (!parse_properties(header.raw_properties, properties)) return;
  std::string again;
  encode_properties(again, properties);
  WARREN_ASSERT(again == header.raw_properties);
}

}  // namespace
}  // namespace warren::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::amqp::run(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
