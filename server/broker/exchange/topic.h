// SPDX-License-Identifier: Apache-2.0
// topic: the binding key is a pattern of words (see topic_trie.h).
#pragma once

#include "server/broker/exchange/exchange.h"
#include "server/broker/exchange/topic_trie.h"

namespace warren::broker {

class TopicExchange final : public Exchange {
 public:
  using Exchange::Exchange;
  void route(const RouteInput& input, RouteOutput& output) const override;

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  TopicTrie trie_;
  mutable std::vector<const Binding*> scratch_;
};

}  // namespace warren::broker
