// SPDX-License-Identifier: Apache-2.0
// x-random: one binding per message, drawn anew each time; keys are ignored. x-local-random is the
// same here, as every queue is local; its binding keys are empty.
#pragma once

#include "server/broker/exchange/exchange.h"

namespace warren::broker {

class RandomExchange final : public Exchange {
 public:
  explicit RandomExchange(storage::ExchangeDefinition definition);
  void route(const RouteInput& input, RouteOutput& output) const override;
  bool routes_by_key() const override { return false; }

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  std::vector<const Binding*> all_;
  mutable std::uint64_t draws_;  // the state of a SplitMix64 generator, seeded by the name
};

}  // namespace warren::broker
