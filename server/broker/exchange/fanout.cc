// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/fanout.h"

namespace warren::broker {

void FanoutExchange::route(const RouteInput&, RouteOutput& output) const {
  for (const Binding* binding : all_) output.add(*binding);
}

void FanoutExchange::index(const Binding& binding) {
  all_.push_back(&binding);
}

void FanoutExchange::unindex(const Binding& binding) {
  std::erase(all_, &binding);
}

}  // namespace warren::broker
