// SPDX-License-Identifier: Apache-2.0
// The headers exchange against the definition, written down naively, on random tables.
#include <random>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/exchange_types.h"

namespace warren::broker {
namespace {

using amqp::FieldTable;
using amqp::FieldType;
using amqp::FieldValue;

std::string encoded(const FieldTable& table) {
  std::string out;
  amqp::encode_table(out, table);
  return out;
}

// Few names and few values, so that they meet.
FieldValue random_value(std::mt19937_64& random) {
  const auto small = static_cast<std::int64_t>(random() % 2);
  switch (random() % 8) {
    case 0:
      return FieldValue(small == 0 ? "zero" : "one");
    case 1:
      return FieldValue(FieldType::signed_32, small);
    case 2:
      return FieldValue(FieldType::signed_64, small);
    case 3:
      return FieldValue(FieldType::unsigned_8, small);
    case 4:
      return FieldValue(small == 0);
    case 5:
      return FieldValue(static_cast<double>(small));
    case 6:
      return FieldValue(FieldTable().set("deep", small));
    default:
      return FieldValue();
  }
}

FieldTable random_table(std::mt19937_64& random) {
  constexpr const char* kNames[] = {"a", "b", "c", "x-a", "x-b"};
  FieldTable table;
  for (const char* const name : kNames) {
    if (random() % 2 == 0) table.set(name, random_value(random));
  }
  return table;
}

bool is_integer(FieldType type) {
  return type == FieldType::signed_32 || type == FieldType::signed_64 ||
         type == FieldType::unsigned_8;
}

// Rule 29, word by word.
bool model_value_matches(const FieldValue& wanted, const FieldTable& headers,
                         const std::string& name) {
  for (const amqp::FieldEntry& entry : headers.entries()) {
    if (entry.name != name) continue;
    if (wanted.type() == FieldType::nothing) return true;  // present is enough
    if (is_integer(wanted.type()) && is_integer(entry.value.type())) {
      return *wanted.get<std::int64_t>() == *entry.value.get<std::int64_t>();
    }
    return wanted.type() == entry.value.type() && wanted.data() == entry.value.data();
  }
  return false;
}

bool model_matches(const std::string& how, const FieldTable& binding, const FieldTable& headers) {
  const bool any = how == "any" || how == "any-with-x";
  const bool with_x = how == "all-with-x" || how == "any-with-x";
  int wanted = 0;
  int met = 0;
  for (const amqp::FieldEntry& entry : binding.entries()) {
    if (entry.name.substr(0, 2) == "x-" && !with_x) continue;
    ++wanted;
    if (model_value_matches(entry.value, headers, entry.name)) ++met;
  }
  return any ? met > 0 : met == wanted;
}

TEST(HeadersExchangeProperty, AgreesWithTheDefinition) {
  const std::string kHow[] = {"", "all", "any", "all-with-x", "any-with-x"};
  int met = 0;
  int tried = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    storage::ExchangeDefinition definition;
    definition.name = "h";
    definition.type = "headers";
    const std::unique_ptr<Exchange> exchange = make_exchange(definition);
    struct Bound {
      std::string how;
      FieldTable wanted;
      storage::BindingDefinition definition;
    };
    std::vector<Bound> bound;
    for (int i = 0; i < 30; ++i) {
      Bound one;
      one.how = kHow[random() % std::size(kHow)];
      one.wanted = random() % 8 == 0 ? FieldTable() : random_table(random);
      FieldTable arguments = one.wanted;
      if (!one.how.empty()) arguments.set("x-match", one.how);
      one.definition.source = "h";
      one.definition.destination = fmt::format("q{}", i);
      one.definition.arguments = encoded(arguments);
      auto binding = std::make_unique<Binding>();
      binding->source = exchange.get();
      binding->queue = reinterpret_cast<QueueHandle*>(0x10);  // never looked into
      binding->definition = one.definition;
      exchange->bind(std::move(binding));
      bound.push_back(std::move(one));
    }
    for (int i = 0; i < 10; ++i) {  // removal moves others
      const std::size_t at = random() % bound.size();
      ASSERT_NE(exchange->unbind(bound[at].definition), nullptr);
      bound.erase(bound.begin() + static_cast<std::ptrdiff_t>(at));
    }
    for (int i = 0; i < 20; ++i) {
      const FieldTable headers = i == 0 ? FieldTable() : random_table(random);
      const std::string raw = encoded(headers);
      RouteOutput out;
      exchange->route({"ignored", raw}, out);
      std::multiset<std::string> got;
      for (const Binding* binding : out.matches()) got.insert(binding->definition.destination);
      for (const Bound& one : bound) {
        const bool expected = model_matches(one.how, one.wanted, headers);
        ASSERT_EQ(got.count(one.definition.destination), expected ? 1U : 0U)
            << "seed " << seed << " x-match '" << one.how << "'";
        ++tried;
        if (expected) ++met;
      }
    }
  }
  // The tables do meet, and do miss.
  EXPECT_GT(met, tried / 20);
  EXPECT_LT(met, tried / 2);
}

}  // namespace
}  // namespace warren::broker
