// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/frame.h"

#include <algorithm>

namespace warren::amqp {
namespace {

constexpr Bytes kProtocolHeader09("AMQP\x01\x01\x00\x09", 8);

bool known_type(std::uint8_t type) {
  return type == kFrameMethod || type == kFrameHeader || type == kFrameBody ||
         type == kFrameHeartbeat;
}

bool agree(Bytes in, Bytes header) {
  const std::size_t size = std::min(in.size(), header.size());
  return in.substr(0, size) == header.substr(0, size);
}

}  // namespace

FrameStatus read_frame(Bytes in, std::uint32_t frame_max, Frame& out) {
  if (in.empty()) return FrameStatus::need_more;
  const auto type = static_cast<std::uint8_t>(in[0]);
  if (!known_type(type)) return FrameStatus::bad_type;
  if (in.size() < kFramePrefixBytes) return FrameStatus::need_more;

  const std::size_t payload_size = load_big_endian<std::uint32_t>(in.data() + 3);
  if (frame_max == 0) frame_max = kFrameMaxDefault;
  if (payload_size + kFrameOverheadBytes > frame_max) return FrameStatus::too_large;
  const std::size_t frame_size = payload_size + kFrameOverheadBytes;
  if (in.size() < frame_size) return FrameStatus::need_more;
  if (static_cast<std::uint8_t>(in[frame_size - 1]) != kFrameEnd) return FrameStatus::bad_end;

  out.type = type;
  out.channel = load_big_endian<std::uint16_t>(in.data() + 1);
  out.payload = in.substr(kFramePrefixBytes, payload_size);
  out.size = frame_size;
  return FrameStatus::ok;
}

ProtocolHeader read_protocol_header(Bytes in) {
  if (!agree(in, kProtocolHeader) && !agree(in, kProtocolHeader09)) return ProtocolHeader::wrong;
  return in.size() < kProtocolHeader.size() ? ProtocolHeader::need_more : ProtocolHeader::ok;
}

}  // namespace warren::amqp
