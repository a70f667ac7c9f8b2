// SPDX-License-Identifier: Apache-2.0
// Finds frames in received bytes. Allocates nothing and keeps nothing: the caller owns the buffer
// and asks again when it holds more. Keeps: P3 (the receiving half).
#pragma once

#include <cstddef>
#include <cstdint>

#include "storage/base/bytes.h"

#include "server/amqp/gen/constants.gen.h"

namespace warren::amqp {

inline constexpr std::size_t kFramePrefixBytes = 7;  // type, channel, payload size
inline constexpr std::size_t kFrameOverheadBytes = kFramePrefixBytes + 1;  // and the end octet
// Of a header frame's payload, ahead of the properties: class, weight, body size.
inline constexpr std::size_t kContentHeaderBytes = 12;
inline constexpr std::uint32_t kFrameMaxDefault = 131'072;

// What a client sends first, and what a server answers when it does not speak the client's version.
inline constexpr Bytes kProtocolHeader("AMQP\0\0\x09\x01", 8);

struct Frame {
  std::uint8_t type = 0;  // kFrameMethod, kFrameHeader, kFrameBody or kFrameHeartbeat
  std::uint16_t channel = 0;
  Bytes payload = {};    // points into the bytes that were read
  std::size_t size = 0;  // of the whole frame: how far to advance
};

enum class FrameStatus : std::uint8_t {
  ok,
  need_more,  // a prefix of a frame that may become valid
  bad_type,   // decided by the first byte
  too_large,  // decided by the first seven bytes
  bad_end,    // the end octet is not kFrameEnd
};

// Reads the frame at the start of `in`; fills `out` only when ok. frame_max 0 means
// kFrameMaxDefault.
inline FrameStatus read_frame(Bytes in, std::uint32_t frame_max, Frame& out) {
  if (in.empty()) return FrameStatus::need_more;
  const auto type = static_cast<std::uint8_t>(in[0]);
  const bool known =
      type == kFrameMethod || type == kFrameHeader || type == kFrameBody || type == kFrameHeartbeat;
  if (!known) return FrameStatus::bad_type;
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

enum class ProtocolHeader : std::uint8_t {
  ok,  // 8 bytes: AMQP 0 0 9 1, or the 0-9 form AMQP 1 1 0 9
  need_more,
  wrong,  // decided by the first byte that differs
};

ProtocolHeader read_protocol_header(Bytes in);

}  // namespace warren::amqp
