// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/fanout.h"

namespace warren::broker {

void FanoutExchange::route(const RouteInput&, RouteOutput& output) const {
  for (const Binding* binding : all_) output.add(*binding);
}

void FanoutExchange::index(const Binding& binding) {
  append_indexed(all_, binding);
}

void FanoutExchange::unindex(const Binding& binding) {
  remove_indexed(all_, binding);
}

}  // namespace warren::broker
