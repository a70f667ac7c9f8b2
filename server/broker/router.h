// SPDX-License-Identifier: Apache-2.0
// Publish -> queues: the default exchange, exchange-to-exchange bindings, alternate exchanges; one
// copy per queue, and cycles end (conformance rules 28 to 31).
#pragma once

#include <vector>

#include "server/broker/topology.h"

namespace warren::broker {

// Runs on: its shard. One per shard: it reuses its buffers.
class Router {
 public:
  // The queues that a message published to `exchange` reaches. Valid until the next call or
  // topology change.
  const std::vector<QueueHandle*>& route(const Vhost& vhost, Exchange& exchange,
                                         const RouteInput& input);
  // Was the key all that the last routing looked at? Then another message with the same key goes
  // the same way, as long as the topology stands.
  bool by_key() const { return by_key_; }

 private:
  void enter(Exchange& exchange);
  void visit(const Vhost& vhost, Exchange& exchange, const RouteInput& input);
  void reach(QueueHandle& queue);

  std::uint64_t mark_ = 0;
  bool by_key_ = true;
  std::vector<QueueHandle*> queues_;
  std::vector<Exchange*> pending_;
  RouteOutput output_;
};

}  // namespace warren::broker
