// SPDX-License-Identifier: Apache-2.0
#include "server/broker/router.h"

#include "server/broker/dead_letter.h"

namespace warren::broker {

const std::vector<QueueHandle*>& Router::route(const Vhost& vhost, Exchange& exchange,
                                               const RouteInput& input) {
  ++mark_;
  by_key_ = true;
  queues_.clear();
  pending_.clear();
  enter(exchange);
  while (!pending_.empty()) {
    Exchange& next = *pending_.back();
    pending_.pop_back();
    visit(vhost, next, input);
  }
  return queues_;
}

void Router::enter(Exchange& exchange) {
  if (exchange.route_mark == mark_) return;
  exchange.route_mark = mark_;
  pending_.push_back(&exchange);
}

void Router::visit(const Vhost& vhost, Exchange& exchange, const RouteInput& input) {
  if (exchange.name().empty()) {
    // The default exchange: every queue is bound to it under its own name.
    input.for_each_key([&](Bytes key) {
      QueueHandle* const queue = vhost.find_queue(key);
      if (queue != nullptr && !queue->hidden()) reach(*queue);
    });
    return;
  }
  if (!exchange.delay_queue.empty()) {
    by_key_ = false;
    if (delay_of(input.headers) > 0) {
      if (QueueHandle* const queue = vhost.find_queue(exchange.delay_queue)) reach(*queue);
      return;
    }
  }
  output_.clear();
  by_key_ = by_key_ && exchange.routes_by_key();
  exchange.route(input, output_);
  for (const Binding* binding : output_.matches()) {
    if (binding->queue != nullptr) {
      reach(*binding->queue);
    } else {
      enter(*binding->exchange);
    }
  }
  if (output_.matches().empty() && !exchange.alternate.empty()) {
    if (Exchange* const alternate = vhost.find_exchange(exchange.alternate)) enter(*alternate);
  }
}

void Router::reach(QueueHandle& queue) {
  if (queue.route_mark == mark_) return;
  queue.route_mark = mark_;
  queues_.push_back(&queue);
}

}  // namespace warren::broker
