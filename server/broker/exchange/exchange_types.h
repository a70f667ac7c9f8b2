// SPDX-License-Identifier: Apache-2.0
// The table of exchange types: the one file to touch beside your own when you add a type.
#pragma once

#include <memory>
#include <string_view>

#include "server/broker/exchange/exchange.h"

namespace warren::broker {

bool is_exchange_type(std::string_view type);

// REQUIRES: is_exchange_type(definition.type).
std::unique_ptr<Exchange> make_exchange(storage::ExchangeDefinition definition);

}  // namespace warren::broker
