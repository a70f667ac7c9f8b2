// SPDX-License-Identifier: Apache-2.0
// One published message as a single immutable block: the exchange and routing key it was published
// with, its property bytes exactly as received, and its body. Delivery and storage re-encode
// nothing: the block is what is stored.
//
//   0  u8   flags            bit 0: persistent (delivery_mode 2); bits 2 to 7: how many entries at
//                           the front of x-death this broker made
//   1  u8   exchange length
//   2  u8   routing key length
//   3  u8   priority
//   4  u32  properties length (big endian)
//   8  u64  publish time, ms since the Unix epoch
//  16       exchange | routing key | property flags and list | body
#pragma once

#include <cstdint>
#include <optional>

#include "storage/base/block.h"

namespace warren::broker {

// Everything of a message but its body, when it is put together.
struct MessageHead {
  bool persistent = false;
  std::uint8_t priority = 0;
  std::uint8_t own_deaths = 0;  // at most MessageView::kOwnDeathsMax
  std::int64_t published_ms = 0;
  Bytes exchange;     // at most 255 bytes
  Bytes routing_key;  // at most 255 bytes
  Bytes properties;   // flag words and list, as on the wire
};

// A borrowed look into a block.
class MessageView {
 public:
  // REQUIRES: the block passed valid_message() or was made by start_message().
  explicit MessageView(const Block& block) : data_(block.data()), size_(block.size()) {}

  static constexpr std::uint8_t kOwnDeathsMax = 63;

  bool persistent() const { return (data_[0] & 1) != 0; }
  std::uint8_t own_deaths() const { return static_cast<std::uint8_t>(data_[0]) >> 2; }
  // Is the property `expiration` there? (Bit 8 of the property flags.)
  bool has_expiration() const {
    const Bytes raw = properties();
    return !raw.empty() && (raw.front() & 1) != 0;
  }
  std::uint8_t priority() const { return static_cast<std::uint8_t>(data_[3]); }
  std::int64_t published_ms() const {
    return static_cast<std::int64_t>(load_big_endian<std::uint64_t>(data_ + 8));
  }
  Bytes exchange() const { return Bytes(data_ + kHeadBytes, exchange_size()); }
  Bytes routing_key() const {
    return Bytes(data_ + kHeadBytes + exchange_size(), routing_key_size());
  }
  Bytes properties() const {
    return Bytes(data_ + kHeadBytes + exchange_size() + routing_key_size(), properties_size());
  }
  Bytes body() const {
    const std::size_t at = body_offset();
    return Bytes(data_ + at, size_ - at);
  }
  std::size_t body_offset() const {
    return kHeadBytes + exchange_size() + routing_key_size() + properties_size();
  }

  static constexpr std::size_t kHeadBytes = 16;

 private:
  std::size_t exchange_size() const { return static_cast<std::uint8_t>(data_[1]); }
  std::size_t routing_key_size() const { return static_cast<std::uint8_t>(data_[2]); }
  std::size_t properties_size() const { return load_big_endian<std::uint32_t>(data_ + 4); }

  const char* data_;
  std::size_t size_;
};

// A block with its head written and room for `body_size` bytes of body, which the caller fills
// before sharing it.
BlockRef start_message(const MessageHead& head, std::size_t body_size);

// Do the lengths inside the block fit its size? Stored blocks are checked before they are looked
// into.
bool valid_message(const Block& block);

}  // namespace warren::broker
