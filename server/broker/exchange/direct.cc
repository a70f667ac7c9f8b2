// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/direct.h"

namespace warren::broker {

void DirectExchange::route(const RouteInput& input, RouteOutput& output) const {
  input.for_each_key([&](Bytes key) {
    const auto at = by_key_.find(key);
    if (at == by_key_.end()) return;
    for (const Binding* binding : at->second) output.add(*binding);
  });
}

void DirectExchange::index(const Binding& binding) {
  append_indexed(by_key_[binding.definition.routing_key], binding);
}

void DirectExchange::unindex(const Binding& binding) {
  const auto at = by_key_.find(binding.definition.routing_key);
  remove_indexed(at->second, binding);
  if (at->second.empty()) by_key_.erase(at);
}

}  // namespace warren::broker
