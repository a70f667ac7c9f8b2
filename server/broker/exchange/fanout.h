// SPDX-License-Identifier: Apache-2.0
// fanout: every binding matches, the routing key is ignored.
#pragma once

#include "server/broker/exchange/exchange.h"

namespace warren::broker {

class FanoutExchange final : public Exchange {
 public:
  using Exchange::Exchange;
  void route(const RouteInput& input, RouteOutput& output) const override;

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  std::vector<const Binding*> all_;
};

}  // namespace warren::broker
