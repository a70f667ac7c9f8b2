// SPDX-License-Identifier: Apache-2.0
// Frames in arbitrary bytes. The first two bytes are the frame-max, the rest is what a peer sent.
#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/base/assert.h"

#include "server/amqp/frame.h"
#include "server/amqp/frame_writer.h"

namespace warren::amqp {
namespace {

// A frame that was read writes back to its bytes, and no shorter prefix would have been a frame.
void check_frame(Bytes in, std::uint32_t frame_max, const Frame& frame) {
  WARREN_ASSERT(frame.size == frame.payload.size() + kFrameOverheadBytes);
  WARREN_ASSERT(frame.size <= in.size());
  WARREN_ASSERT(frame_max == 0 || frame.size <= frame_max);

  std::string again;
  append_frame_prefix(again, frame.type, frame.channel,
                      static_cast<std::uint32_t>(frame.payload.size()));
  again.append(frame.payload);
  again.push_back(static_cast<char>(kFrameEnd));
  WARREN_ASSERT(again == in.substr(0, frame.size));

  Frame ignored;
  const std::size_t shorter[] = {0, 1, kFramePrefixBytes - 1, kFramePrefixBytes, frame.size - 1};
  for (const std::size_t size : shorter) {
    const FrameStatus status = read_frame(in.substr(0, size), frame_max, ignored);
    WARREN_ASSERT(status == FrameStatus::need_more);
  }
}

void run(Bytes in) {
  static_cast<void>(read_protocol_header(in));
  if (in.size() < 2) return;
  const std::uint32_t frame_max = load_big_endian<std::uint16_t>(in.data());
  in.remove_prefix(2);
  Frame frame;
  while (read_frame(in, frame_max, frame) == FrameStatus::ok) {
    check_frame(in, frame_max, frame);
    in.remove_prefix(frame.size);
  }
}

}  // namespace
}  // namespace warren::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  warren::amqp::run(warren::Bytes(reinterpret_cast<const char*>(data), size));
  return 0;
}
