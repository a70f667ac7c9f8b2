// SPDX-License-Identifier: Apache-2.0
// direct: the routing key equals the binding key, byte for byte.
#pragma once

#include "server/broker/exchange/exchange.h"

namespace warren::broker {

class DirectExchange final : public Exchange {
 public:
  using Exchange::Exchange;
  void route(const RouteInput& input, RouteOutput& output) const override;

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  StringMap<std::vector<const Binding*>> by_key_;
};

}  // namespace warren::broker
