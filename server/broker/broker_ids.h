// SPDX-License-Identifier: Apache-2.0
// Who is who between shards.
#pragma once

#include <cstdint>
#include <string>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/base/ids.h"

namespace warren::broker {

// A queue is known by its log's number: unique in the store's life, so that a queue deleted and
// declared again under the same name is another queue.
using QueueId = LogId;

// Unique in the process's life. The shard that the connection lives on is part of it.
struct ConnectionId {
  std::uint64_t value = 0;

  static constexpr unsigned kNumberBits = 48;
  static ConnectionId make(ShardIndex shard, std::uint64_t number) {
    return ConnectionId{(static_cast<std::uint64_t>(shard) << kNumberBits) | number};
  }
  ShardIndex shard() const { return static_cast<ShardIndex>(value >> kNumberBits); }
  friend auto operator<=>(ConnectionId, ConnectionId) = default;
};
inline std::size_t hash_value(ConnectionId id) {
  return std::hash<std::uint64_t>{}(id.value);
}

// The channel that a delivery was made to.
struct ChannelKey {
  ConnectionId connection;
  std::uint16_t channel = 0;
  friend auto operator<=>(const ChannelKey&, const ChannelKey&) = default;
};

// Number of a consumer within its connection; 0 stands for a basic.get.
using ConsumerNumber = std::uint32_t;

// What the rest of the broker calls a message of a queue: lane and seq in one number.
using Place = std::uint64_t;
inline constexpr unsigned kPlaceSeqBits = 56;
constexpr Place make_place(std::size_t lane, Seq seq) {
  return (static_cast<Place>(lane) << kPlaceSeqBits) | seq;
}
constexpr std::size_t lane_of(Place place) {
  return static_cast<std::size_t>(place >> kPlaceSeqBits);
}
constexpr Seq seq_of(Place place) {
  return place & ((Place{1} << kPlaceSeqBits) - 1);
}

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
// Keys are owned, lookups borrow.
template <class Value>
using StringMap = boost::unordered_flat_map<std::string, Value, StringHash, std::equal_to<>>;

}  // namespace warren::broker
