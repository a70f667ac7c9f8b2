// SPDX-License-Identifier: Apache-2.0
// Headers matching as RabbitMQ has it (conformance rule 29).
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/exchange_types.h"

namespace warren::broker {
namespace {

std::string encoded(const amqp::FieldTable& table) {
  std::string out;
  amqp::encode_table(out, table);
  return out;
}

bool matches(const amqp::FieldTable& binding_arguments, const amqp::FieldTable& headers) {
  storage::ExchangeDefinition definition;
  definition.name = "h";
  definition.type = "headers";
  const std::unique_ptr<Exchange> exchange = make_exchange(definition);
  QueueHandle* const somewhere = reinterpret_cast<QueueHandle*>(0x10);  // never looked into
  auto binding = std::make_unique<Binding>();
  binding->source = exchange.get();
  binding->queue = somewhere;
  binding->definition.arguments = encoded(binding_arguments);
  exchange->bind(std::move(binding));
  RouteOutput out;
  const std::string raw = encoded(headers);
  exchange->route({"ignored", raw}, out);
  return !out.matches().empty();
}

amqp::FieldTable table(std::initializer_list<std::pair<const char*, amqp::FieldValue>> entries) {
  amqp::FieldTable out;
  for (const auto& [name, value] : entries) out.set(name, value);
  return out;
}

TEST(HeadersExchange, AllNeedsEveryHeader) {
  EXPECT_TRUE(matches(table({{"a", 1}, {"b", "x"}}), table({{"a", 1}, {"b", "x"}, {"c", 2}})));
  EXPECT_FALSE(matches(table({{"a", 1}, {"b", "x"}}), table({{"a", 1}})));
  EXPECT_FALSE(matches(table({{"a", 1}}), {}));
}

TEST(HeadersExchange, AnyNeedsOne) {
  EXPECT_TRUE(matches(table({{"x-match", "any"}, {"a", 1}, {"b", 2}}), table({{"b", 2}})));
  EXPECT_FALSE(matches(table({{"x-match", "any"}, {"a", 1}, {"b", 2}}), table({{"b", 3}})));
}

TEST(HeadersExchange, EmptyTableMatchesAllButNotAny) {
  EXPECT_TRUE(matches({}, table({{"a", 1}})));
  EXPECT_TRUE(matches({}, {}));
  EXPECT_FALSE(matches(table({{"x-match", "any"}}), table({{"a", 1}})));
}

TEST(HeadersExchange, KeysWithXCountOnlyWithX) {
  EXPECT_TRUE(matches(table({{"x-k", 1}, {"a", 1}}), table({{"a", 1}})));
  EXPECT_FALSE(
      matches(table({{"x-match", "all-with-x"}, {"x-k", 1}, {"a", 1}}), table({{"a", 1}})));
  EXPECT_TRUE(matches(table({{"x-match", "any-with-x"}, {"x-k", 1}}), table({{"x-k", 1}})));
  EXPECT_FALSE(matches(table({{"x-match", "any"}, {"x-k", 1}}), table({{"x-k", 1}})));
}

TEST(HeadersExchange, VoidAsksForPresenceAndValuesAreTyped) {
  EXPECT_TRUE(matches(table({{"a", amqp::FieldValue{}}}), table({{"a", "anything"}})));
  EXPECT_FALSE(matches(table({{"a", amqp::FieldValue{}}}), table({{"b", 1}})));
  EXPECT_FALSE(matches(table({{"a", "1"}}), table({{"a", 1}})));
  EXPECT_TRUE(matches(table({{"a", 1}}), table({{"a", std::int64_t{1}}})));
}

}  // namespace
}  // namespace warren::broker
