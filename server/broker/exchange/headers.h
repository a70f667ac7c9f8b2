// SPDX-License-Identifier: Apache-2.0
// headers: the binding's arguments are compared with the message's headers. "x-match" says how:
// "all" (default), "any", "all-with-x", "any-with-x"; keys that begin with "x-" count only with the
// -with-x forms; a void value asks for presence only.
#pragma once

#include "server/amqp/field_value.h"
#include "server/broker/exchange/exchange.h"

namespace warren::broker {

class HeadersExchange final : public Exchange {
 public:
  using Exchange::Exchange;
  void route(const RouteInput& input, RouteOutput& output) const override;
  bool routes_by_key() const override { return false; }

 protected:
  void index(const Binding& binding) override;
  void unindex(const Binding& binding) override;

 private:
  struct Matcher {
    const Binding* binding;
    bool any;
    amqp::FieldTable wanted;  // only the keys that count
  };
  std::vector<Matcher> matchers_;
};

}  // namespace warren::broker
