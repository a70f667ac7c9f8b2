// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/random.h"

#include "server/broker/exchange/stable_hash.h"

namespace warren::broker {

RandomExchange::RandomExchange(storage::ExchangeDefinition definition)
    : Exchange(std::move(definition)), draws_(stable_hash(name())) {}

void RandomExchange::route(const RouteInput&, RouteOutput& output) const {
  if (all_.empty()) return;
  draws_ += 0x9e3779b97f4a7c15U;
  output.add(*all_[mix_bits(draws_) % all_.size()]);
}

void RandomExchange::index(const Binding& binding) {
  append_indexed(all_, binding);
}

void RandomExchange::unindex(const Binding& binding) {
  remove_indexed(all_, binding);
}

}  // namespace warren::broker
