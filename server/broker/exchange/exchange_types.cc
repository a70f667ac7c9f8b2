// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/exchange_types.h"

#include "storage/base/assert.h"

#include "server/broker/exchange/delayed.h"
#include "server/broker/exchange/direct.h"
#include "server/broker/exchange/fanout.h"
#include "server/broker/exchange/hash.h"
#include "server/broker/exchange/headers.h"
#include "server/broker/exchange/random.h"
#include "server/broker/exchange/topic.h"

namespace warren::broker {
namespace {

using Factory = std::unique_ptr<Exchange> (*)(storage::ExchangeDefinition);

template <class Type>
std::unique_ptr<Exchange> make(storage::ExchangeDefinition definition) {
  return std::make_unique<Type>(std::move(definition));
}

struct Row {
  std::string_view type;
  Factory factory;
};

constexpr Row kTypes[] = {
    {"direct", make<DirectExchange>},
    {"fanout", make<FanoutExchange>},
    {"topic", make<TopicExchange>},
    {"headers", make<HeadersExchange>},
    {"x-consistent-hash", make<ConsistentHashExchange>},
    {"x-modulus-hash", make<ModulusHashExchange>},
    {"x-random", make<RandomExchange>},
    {"x-local-random", make<RandomExchange>},
};

const Row* find_type(std::string_view type) {
  for (const Row& row : kTypes) {
    if (row.type == type) return &row;
  }
  return nullptr;
}

}  // namespace

bool is_exchange_type(std::string_view type) {
  return type == kDelayedType || find_type(type) != nullptr;
}

std::unique_ptr<Exchange> make_exchange(storage::ExchangeDefinition definition) {
  const Row* const row = find_type(routing_type(definition));
  WARREN_ASSERT(row != nullptr);
  return row->factory(std::move(definition));
}

}  // namespace warren::broker
