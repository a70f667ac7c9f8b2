// SPDX-License-Identifier: Apache-2.0
// What an operator sets for every connection, and the fixed bounds of a session.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "storage/base/clock.h"
#include "storage/base/units.h"

namespace warren::session {

struct SessionLimits {
  std::uint32_t frame_max = 131072;
  std::uint16_t channel_max = 2047;
  std::uint16_t heartbeat_s = 60;
  std::uint64_t message_bytes_max = 128_MiB;
  std::size_t consumers_per_channel_max = 0;  // 0: no limit
  Duration handshake_timeout = std::chrono::seconds(10);
  // Compatibility strings: clients switch behaviour on them.
  std::string product = "RabbitMQ";
  std::string version = "4.2.0";
};

// What a transaction may hold before it is committed: blocks, and a fixed share per operation.
inline constexpr std::uint64_t kTransactionBytesMax = 512_MiB;
inline constexpr std::uint64_t kTransactionStepBytes = 128;

// AMQP 0-9-1, 4.2.3: a peer must accept frames of this size before tuning.
inline constexpr std::uint32_t kFrameMinBytes = 4096;
// A body announced to be larger is taken in pieces: memory follows what arrived, not what was
// claimed.
inline constexpr std::uint64_t kBodyTrustedBytes = 128_KiB;
// Bodies of this size are not copied into the output but referenced.
inline constexpr std::size_t kBodyReferenceBytes = 16_KiB;
// Of a frame that is not its body or its properties.
inline constexpr std::size_t kFrameRoomBytes = 32;
// Output below this returns the consumers' credit: the socket keeps up.
inline constexpr std::size_t kOutputLowBytes = 64_KiB;
// Above this a peer that does not read is not read either (P6).
inline constexpr std::size_t kOutputHighBytes = 4_MiB;
// Above this a peer that does not read loses direct replies: they have no consumer window.
inline constexpr std::size_t kReplyOutputBytes = 64_MiB;
// How long a peer may take to answer our connection.close.
inline constexpr Duration kCloseTimeout = std::chrono::seconds(10);

}  // namespace warren::session
