// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/topic.h"

namespace warren::broker {

void TopicExchange::route(const RouteInput& input, RouteOutput& output) const {
  scratch_.clear();
  input.for_each_key([this](Bytes key) { trie_.match(key, scratch_); });
  for (const Binding* binding : scratch_) output.add(*binding);
}

void TopicExchange::index(const Binding& binding) {
  trie_.add(binding.definition.routing_key, &binding);
}

void TopicExchange::unindex(const Binding& binding) {
  trie_.remove(binding.definition.routing_key, &binding);
}

}  // namespace warren::broker
