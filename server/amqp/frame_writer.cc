// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/frame_writer.h"

#include <algorithm>

namespace warren::amqp {

void append_frame_prefix(std::string& out, std::uint8_t type, std::uint16_t channel,
                         std::uint32_t payload_size) {
  char prefix[kFramePrefixBytes];
  write_frame_prefix(prefix, type, channel, payload_size);
  out.append(prefix, sizeof(prefix));
}

void append_header_frame(std::string& out, std::uint16_t channel, std::uint16_t class_id,
                         std::uint64_t body_size, Bytes raw_properties) {
  char fixed[kFramePrefixBytes + kContentHeaderBytes];
  char* to =
      write_frame_prefix(fixed, kFrameHeader, channel,
                         static_cast<std::uint32_t>(kContentHeaderBytes + raw_properties.size()));
  store_big_endian<std::uint16_t>(to, class_id);
  store_big_endian<std::uint16_t>(to + 2, std::uint16_t{0});
  store_big_endian<std::uint64_t>(to + 4, body_size);
  out.append(fixed, sizeof(fixed));
  out.append(raw_properties);
  out.push_back(static_cast<char>(kFrameEnd));
}

void append_body_frames(std::string& out, std::uint16_t channel, Bytes body,
                        std::uint32_t frame_max) {
  if (frame_max == 0) frame_max = kFrameMaxDefault;
  WARREN_ASSERT(frame_max > kFrameOverheadBytes);
  const std::size_t payload_max = frame_max - kFrameOverheadBytes;
  while (!body.empty()) {
    const Bytes payload = body.substr(0, payload_max);
    append_frame_prefix(out, kFrameBody, channel, static_cast<std::uint32_t>(payload.size()));
    out.append(payload);
    out.push_back(static_cast<char>(kFrameEnd));
    body.remove_prefix(payload.size());
  }
}

void append_heartbeat(std::string& out) {
  append_frame_prefix(out, kFrameHeartbeat, 0, 0);
  out.push_back(static_cast<char>(kFrameEnd));
}

}  // namespace warren::amqp
