// SPDX-License-Identifier: Apache-2.0
// What the broker says to a connection on its own shard; the session implements it.
#pragma once

#include <string_view>

#include "server/broker/shard_messages.h"

namespace warren::broker {

// Runs on: the connection's shard. Never called from inside a call of the session into the broker,
// with one exception: on_confirmed.
class SessionSink {
 public:
  virtual ~SessionSink() = default;
  virtual ConnectionId connection_id() const = 0;
  virtual void on_reply(Reply& reply) = 0;
  virtual void on_delivery(const Delivery& delivery) = 0;
  // One queue has the publish for good: it is durable there, settled, or needs no disk.
  virtual void on_confirmed(std::uint16_t channel, std::uint64_t publish_seq) = 0;
  // One queue has refused the publish.
  virtual void on_refused(std::uint16_t channel, std::uint64_t publish_seq) = 0;
  virtual void on_consumer_timed_out(const ConsumerTimedOut& timed_out) = 0;
  virtual void on_consumer_cancelled(ConsumerNumber consumer) = 0;
  virtual void on_ask(const Ask& ask) = 0;
  virtual void on_grant_return(const GrantReturn& back) = 0;
  // False: no channel here waits for replies under that address. One without a block only asks.
  virtual bool on_direct_reply(const DirectReply& reply) = 0;
  // After all of the turn's calls, if BrokerShard::mark_session was called: writes what was held
  // back to be merged.
  virtual void on_turn_end() = 0;
};

}  // namespace warren::broker
