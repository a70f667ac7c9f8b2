// SPDX-License-Identifier: Apache-2.0
// What the first bytes of a body say: when the message was to be sent, and which one of which
// stream it is. A stream is what arrives in order: one publisher, one target, one priority.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"

namespace warren::perf {

// Shorter bodies carry none.
inline constexpr std::size_t kStampBytes = 16;
// The bodies' other bytes.
inline constexpr char kFiller = 'w';

struct Stamp {
  std::uint64_t at_us = 0;  // steady clock: comparable on one machine
  std::uint32_t stream = 0;
  std::uint64_t number = 0;  // in its stream, from 1
};

inline constexpr unsigned kStampNumberBits = 40;
inline constexpr std::uint32_t kStreamsMax = 1U << (64 - kStampNumberBits);

inline void store_stamp(char* to, const Stamp& stamp) {
  store_big_endian<std::uint64_t>(to, stamp.at_us);
  store_big_endian<std::uint64_t>(to + 8,
                                  (std::uint64_t{stamp.stream} << kStampNumberBits) | stamp.number);
}

inline Stamp load_stamp(const char* from) {
  const auto tail = load_big_endian<std::uint64_t>(from + 8);
  return {.at_us = load_big_endian<std::uint64_t>(from),
          .stream = static_cast<std::uint32_t>(tail >> kStampNumberBits),
          .number = tail & ((std::uint64_t{1} << kStampNumberBits) - 1)};
}

inline std::uint64_t to_microseconds(Instant at) {
  using std::chrono::microseconds;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<microseconds>(at.time_since_epoch()).count());
}

inline std::uint64_t steady_microseconds() {
  return to_microseconds(std::chrono::steady_clock::now());
}

}  // namespace warren::perf
