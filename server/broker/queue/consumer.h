// SPDX-License-Identifier: Apache-2.0
// A consumer as its queue sees it: who gets the deliveries, and how much may be under way to it.
#pragma once

#include <cstdint>
#include <string>

#include <boost/intrusive/list_hook.hpp>

#include "storage/base/units.h"

#include "server/broker/broker_ids.h"

namespace warren::broker {

// Bytes delivered to one consumer that have not left for its socket: a slow reader stops its own
// deliveries (P6).
inline constexpr std::uint64_t kConsumerWindowBytes = 512_KiB;

// Runs on: the queue's shard. Owned by: Queue, until it is cancelled and nothing it holds is
// unsettled.
struct Consumer {
  ChannelKey channel;
  ConsumerNumber number = 0;  // 0: stands for the basic.gets of a channel, takes no deliveries
  std::string tag;
  bool no_ack = false;
  bool exclusive = false;
  bool shared_limit = false;
  std::uint16_t prefetch = 0;  // 0: no limit
  std::int32_t priority = 0;

  bool cancelled = false;
  bool timed_out = false;  // its session was told
  std::uint32_t limit_epoch = 0;
  bool asked = false;         // under a shared limit: the session was asked and has not answered
  std::uint32_t granted = 0;  // under a shared limit: deliveries it let through
  std::uint32_t unacked = 0;
  std::uint64_t in_flight_bytes = 0;

  boost::intrusive::list_member_hook<> in_ring;

  // It waits for what is under way to leave for its socket.
  bool is_full() const { return in_flight_bytes >= kConsumerWindowBytes; }
  // Room apart from a shared limit.
  bool has_room() const {
    return !cancelled && number != 0 && !is_full() &&
           (no_ack || prefetch == 0 || unacked < prefetch);
  }
};

}  // namespace warren::broker
