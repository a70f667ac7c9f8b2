// SPDX-License-Identifier: Apache-2.0
// Message deduplication, as LavinMQ has it: an exchange or a queue declared with
// "x-message-deduplication" drops a message whose id it has seen. The id is a header of the
// message; what was seen is kept in memory, for a number of messages and perhaps for a time, and is
// forgotten at a restart.
//
// A queue's ids are where it lives. An exchange's are on one shard, its home: a session of another
// shard asks it and waits, so that no two connections get the same message through.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/units.h"
#include "storage/engine/definitions.h"

#include "server/amqp/field_value.h"

namespace warren::broker {

inline constexpr std::string_view kDedupArgument = "x-message-deduplication";
inline constexpr std::string_view kDedupHeader = "x-deduplication-header";
inline constexpr std::string_view kDedupSize = "x-cache-size";
inline constexpr std::string_view kDedupTtl = "x-cache-ttl";

inline constexpr std::size_t kDedupSizeDefault = 128;
inline constexpr std::size_t kDedupSizeMax = 1'000'000;
// Of the ids of one exchange or queue, whatever their number.
inline constexpr std::size_t kDedupBytesMax = 256_MiB;

// What the arguments say.
struct DedupSettings {
  std::size_t size = kDedupSizeDefault;
  std::optional<std::int64_t> ttl_ms = {};
  std::string header{kDedupHeader};

  bool operator==(const DedupSettings&) const = default;
};
// Nothing: no deduplication.
std::optional<DedupSettings> read_dedup_settings(const storage::ArgumentBytes& arguments);

// One message's id, and how long it is to be remembered.
struct DedupId {
  std::string id;
  std::optional<std::int64_t> ttl_ms = {};
  std::uint64_t claim = 0;  // of the publish that brings it
};
// `headers`: encoded; empty: none. Nothing: the message has no id and is let through. Integers of
// any width are the same id.
std::optional<DedupId> read_dedup_id(const DedupSettings& settings, Bytes headers);

// The ids that were seen, the oldest first. Runs on: the home of the exchange or queue. Bound:
// `size` ids, kDedupBytesMax.
class DedupCache {
 public:
  explicit DedupCache(std::size_t size) : size_max_(size) {}
  DedupCache(DedupCache&&) = default;
  DedupCache& operator=(DedupCache&&) = default;

  // Is it new? Then it is remembered.
  bool insert(const DedupId& id, Instant now);
  // The publish that brought it did not take place. No-op for an id that another one brought.
  void forget(std::string_view id, std::uint64_t claim);
  std::size_t size() const { return order_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string id;
    Instant until;
    std::uint64_t claim;
  };
  using Order = std::list<Entry>;
  void erase(Order::iterator at);

  std::size_t size_max_;
  std::size_t bytes_ = 0;
  Order order_;
  boost::unordered_flat_map<std::string_view, Order::iterator> by_id_;
};

}  // namespace warren::broker
