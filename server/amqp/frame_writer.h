// SPDX-License-Identifier: Apache-2.0
// Appends whole frames to an outgoing buffer. Keeps: P3 (the sending half).
#pragma once

#include <cstdint>
#include <string>

#include "storage/base/bytes.h"

#include "server/amqp/frame.h"
#include "server/amqp/method_codec.h"

namespace warren::amqp {

// Writes kFramePrefixBytes at `to`, returns the end.
inline char* write_frame_prefix(char* to, std::uint8_t type, std::uint16_t channel,
                                std::uint32_t payload_size) {
  *to = static_cast<char>(type);
  store_big_endian<std::uint16_t>(to + 1, channel);
  store_big_endian<std::uint32_t>(to + 3, payload_size);
  return to + kFramePrefixBytes;
}

// The caller appends payload_size bytes and kFrameEnd.
void append_frame_prefix(std::string& out, std::uint8_t type, std::uint16_t channel,
                         std::uint32_t payload_size);

template <class M>
void append_method_frame(std::string& out, std::uint16_t channel, const M& method) {
  const std::size_t at = out.size();
  const std::size_t payload_size = method_size(method);
  out.resize(at + payload_size + kFrameOverheadBytes);
  char* to = write_frame_prefix(out.data() + at, kFrameMethod, channel,
                                static_cast<std::uint32_t>(payload_size));
  to = write_method(to, method);
  *to = static_cast<char>(kFrameEnd);
}

// raw_properties: flag word and property list, as read_content_header() and encode_properties()
// give them.
void append_header_frame(std::string& out, std::uint16_t channel, std::uint16_t class_id,
                         std::uint64_t body_size, Bytes raw_properties);

// Splits the body so that no frame is larger than frame_max (0: kFrameMaxDefault); an empty body
// has no frame. REQUIRES: frame_max is 0 or more than kFrameOverheadBytes.
void append_body_frames(std::string& out, std::uint16_t channel, Bytes body,
                        std::uint32_t frame_max);

void append_heartbeat(std::string& out);

}  // namespace warren::amqp
