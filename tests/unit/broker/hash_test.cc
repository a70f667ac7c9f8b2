// SPDX-License-Identifier: Apache-2.0
// x-consistent-hash, x-modulus-hash, x-random: who gets what, and that every copy of an exchange
// says the same.
#include "server/broker/exchange/hash.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/exchange_types.h"
#include "server/broker/exchange_arguments.h"

namespace warren::broker {
namespace {

// An exchange and the names of its destinations.
class HashCase {
 public:
  explicit HashCase(std::string type = "x-consistent-hash",
                    const amqp::FieldTable& arguments = {}) {
    storage::ExchangeDefinition definition;
    definition.name = "h";
    definition.type = std::move(type);
    amqp::encode_table(definition.arguments, arguments);
    exchange_ = make_exchange(definition);
  }
  void bind(const std::string& queue, const std::string& key = "1") {
    auto binding = std::make_unique<Binding>();
    binding->source = exchange_.get();
    binding->queue = reinterpret_cast<QueueHandle*>(0x10);  // never looked into
    binding->definition = definition(queue, key);
    ASSERT_TRUE(exchange_->bind(std::move(binding)));
  }
  void unbind(const std::string& queue, const std::string& key = "1") {
    ASSERT_NE(exchange_->unbind(definition(queue, key)), nullptr);
  }
  std::string route(const RouteInput& input) const {
    RouteOutput out;
    exchange_->route(input, out);
    if (out.matches().empty()) return "";
    EXPECT_EQ(out.matches().size(), 1U);
    return out.matches().front()->definition.destination;
  }
  std::string route(const std::string& key) const { return route(RouteInput{key, {}}); }
  std::map<std::string, int> spread(int keys) const {
    std::map<std::string, int> counts;
    for (int i = 0; i < keys; ++i) ++counts[route(fmt::format("key.{}", i))];
    return counts;
  }
  const Exchange& exchange() const { return *exchange_; }

 private:
  static storage::BindingDefinition definition(const std::string& queue, const std::string& key) {
    storage::BindingDefinition definition;
    definition.source = "h";
    definition.destination = queue;
    definition.routing_key = key;
    return definition;
  }
  std::unique_ptr<Exchange> exchange_;
};

// Four standard deviations of a binomial distribution: a fair one fails once in 16,000 runs, and
// this one is the same in each.
void expect_share(int got, int keys, double share) {
  const double deviation = std::sqrt(keys * share * (1 - share));
  EXPECT_NEAR(got, keys * share, 4 * deviation);
}

TEST(ConsistentHash, SpreadsKeysEvenlyOverEqualWeights) {
  constexpr int kKeys = 20'000;
  for (const char* const weight : {"1", "7"}) {
    HashCase hash;
    for (int i = 0; i < 8; ++i) hash.bind(fmt::format("q{}", i), weight);
    const auto counts = hash.spread(kKeys);
    ASSERT_EQ(counts.size(), 8U);
    for (const auto& [queue, count] : counts) expect_share(count, kKeys, 1.0 / 8);
  }
}

TEST(ConsistentHash, SpreadsKeysByWeight) {
  constexpr int kKeys = 20'000;
  HashCase hash;
  hash.bind("one", "1");
  hash.bind("two", "2");
  hash.bind("seven", "7");
  const auto counts = hash.spread(kKeys);
  expect_share(counts.at("one"), kKeys, 0.1);
  expect_share(counts.at("two"), kKeys, 0.2);
  expect_share(counts.at("seven"), kKeys, 0.7);
}

// Only the keys that the new destination takes move, and they come back when it goes.
TEST(ConsistentHash, MovesNoMoreKeysThanItMust) {
  for (const char* const weight : {"1", "3"}) {
    HashCase hash;
    for (int i = 0; i < 5; ++i) hash.bind(fmt::format("q{}", i));
    std::map<std::string, std::string> before;
    for (int i = 0; i < 2000; ++i) {
      const std::string key = fmt::format("k{}", i);
      before[key] = hash.route(key);
    }
    hash.bind("new", weight);
    int moved = 0;
    for (const auto& [key, queue] : before) {
      const std::string now = hash.route(key);
      if (now == queue) continue;
      EXPECT_EQ(now, "new");
      ++moved;
    }
    EXPECT_GT(moved, 200);
    hash.unbind("new", weight);
    for (const auto& [key, queue] : before) EXPECT_EQ(hash.route(key), queue);
  }
}

// Shards and restarts make the same exchange by another way.
TEST(ConsistentHash, DoesNotHangOnTheOrderOfBindings) {
  for (const char* const type : {"x-consistent-hash", "x-modulus-hash"}) {
    HashCase one(type);
    HashCase other(type);
    std::vector<std::string> queues;
    for (int i = 0; i < 20; ++i) queues.push_back(fmt::format("q{}", i));
    for (const std::string& queue : queues) one.bind(queue, std::to_string(queue.size()));
    std::mt19937_64 random(1);
    std::shuffle(queues.begin(), queues.end(), random);
    other.bind("gone", "50");
    for (const std::string& queue : queues) other.bind(queue, std::to_string(queue.size()));
    other.unbind("gone", "50");
    for (int i = 0; i < 2000; ++i) {
      const std::string key = fmt::format("k{}", i);
      ASSERT_EQ(one.route(key), other.route(key)) << type << " " << key;
    }
  }
}

// Whoever updates the broker finds his keys where they were.
TEST(ConsistentHash, IsTheSameInEveryBuild) {
  HashCase hash;
  HashCase modulus("x-modulus-hash");
  for (const char* const queue : {"a", "b", "c", "d"}) {
    hash.bind(queue);
    modulus.bind(queue);
  }
  std::string chosen;
  std::string by_modulus;
  for (int i = 0; i < 24; ++i) {
    chosen += hash.route(std::to_string(i));
    by_modulus += modulus.route(std::to_string(i));
  }
  EXPECT_EQ(chosen, "abcbacadbccdbcdabdabbdbc");
  EXPECT_EQ(by_modulus, "caababdccdadcaabcacacccd");
}

TEST(ConsistentHash, HashesWhatTheArgumentsName) {
  amqp::PropertiesView properties;
  properties.correlation_id = amqp::ShortString("corr");
  properties.message_id = amqp::ShortString("mess");
  properties.timestamp = 1234567;
  std::string headers;
  amqp::encode_table(headers, amqp::FieldTable().set("tenant", "t7").set("number", 7));
  const RouteInput full{"key", headers, {}, &properties};
  struct Row {
    const char* argument;
    const char* value;
    const char* same_as;  // a routing key of a plain exchange
  };
  const Row rows[] = {{"hash-header", "tenant", "t7"},
                      {"x-hash-on", "tenant", "t7"},
                      {"hash-header", "number", "7"},
                      {"hash-header", "missing", ""},
                      {"hash-property", "correlation_id", "corr"},
                      {"hash-property", "message_id", "mess"},
                      {"hash-property", "timestamp", "1234567"},
                      {"x-algorithm", "jump", "key"}};
  for (const Row& row : rows) {
    HashCase plain;
    HashCase hash("x-consistent-hash", amqp::FieldTable().set(row.argument, row.value));
    for (int i = 0; i < 64; ++i) {
      plain.bind(fmt::format("q{}", i));
      hash.bind(fmt::format("q{}", i));
    }
    EXPECT_EQ(hash.route(full), plain.route(row.same_as)) << row.argument << " " << row.value;
    // Nothing of it there: as an empty text.
    if (std::string_view(row.argument) != "x-algorithm") {
      EXPECT_EQ(hash.route("key"), plain.route("")) << row.argument;
    }
  }
}

TEST(ConsistentHash, OnlyPlainOnesAreRememberedByKey) {
  EXPECT_TRUE(HashCase().exchange().routes_by_key());
  for (const char* const argument : {"hash-header", "hash-property", "x-hash-on"}) {
    const HashCase hash("x-consistent-hash", amqp::FieldTable().set(argument, "message_id"));
    EXPECT_FALSE(hash.exchange().routes_by_key()) << argument;
  }
}

TEST(ConsistentHash, WithoutBindingsReachesNobody) {
  for (const char* const type : {"x-consistent-hash", "x-modulus-hash", "x-random"}) {
    HashCase hash(type);
    EXPECT_EQ(hash.route("k"), "");
    hash.bind("q");
    EXPECT_EQ(hash.route("k"), "q");
    hash.unbind("q");
    EXPECT_EQ(hash.route("k"), "");
  }
}

TEST(ModulusHash, SpreadsKeysOverDestinationsNotBindings) {
  constexpr int kKeys = 20'000;
  HashCase hash("x-modulus-hash");
  for (const char* const queue : {"a", "b", "c"}) hash.bind(queue, "");
  hash.bind("a", "again");
  for (const auto& [queue, count] : hash.spread(kKeys)) expect_share(count, kKeys, 1.0 / 3);
  hash.unbind("a", "");
  EXPECT_EQ(hash.spread(100).size(), 3U);
  hash.unbind("a", "again");
  EXPECT_EQ(hash.spread(100).size(), 2U);
}

TEST(Random, SpreadsEqualMessages) {
  constexpr int kMessages = 20'000;
  for (const char* const type : {"x-random", "x-local-random"}) {
    HashCase random(type);
    for (const char* const queue : {"a", "b", "c", "d"}) random.bind(queue, "");
    std::map<std::string, int> counts;
    for (int i = 0; i < kMessages; ++i) ++counts[random.route("same")];
    ASSERT_EQ(counts.size(), 4U);
    for (const auto& [queue, count] : counts) expect_share(count, kMessages, 0.25);
  }
}

TEST(HashWeight, IsAPositiveInteger) {
  const auto refused = [](const char* key) -> std::string {
    storage::BindingDefinition definition;
    definition.routing_key = key;
    const auto error = check_binding("x-consistent-hash", definition);
    EXPECT_FALSE(check_binding("direct", definition));
    if (!error) return "";
    EXPECT_EQ(error->code, amqp::ReplyCode::precondition_failed);
    EXPECT_FALSE(error->closes_connection);
    return error->text;
  };
  for (const char* const good : {"1", "20", "007", "1000000000"}) EXPECT_EQ(refused(good), "");
  for (const char* const zero : {"0", "00"}) {
    EXPECT_NE(refused(zero).find("must be greater than 0"), std::string::npos) << zero;
  }
  for (const char* const bad : {"", "x", "1.5", "-1", "+1", " 1", "1 ", "0x10"}) {
    EXPECT_NE(refused(bad).find("must be an integer"), std::string::npos) << bad;
  }
  for (const char* const large : {"1000000001", "99999999999999999999"}) {
    EXPECT_NE(refused(large).find("at most 1000000000"), std::string::npos) << large;
  }
}

}  // namespace
}  // namespace warren::broker
