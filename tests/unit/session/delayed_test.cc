// SPDX-License-Identifier: Apache-2.0
// Delayed-message exchanges (docs/compatibility.md, delayed messages).
#include <chrono>

#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace std::chrono_literals;
using amqp::FieldTable;

class Delayed : public SimCase {
 protected:
  static FieldTable routes_as(const char* type) { return FieldTable().set("x-delayed-type", type); }
  void send(SimClient& client, const std::string& key, const std::string& body, int delay_ms) {
    PublishOptions options;
    options.exchange = "x";
    options.routing_key = key;
    options.body = body;
    options.headers = encode(FieldTable().set("x-delay", delay_ms));
    client.publish(1, options);
  }
  // The highest confirmed tag.
  static std::uint64_t take_confirms(SimClient& client) {
    std::uint64_t last = 0;
    while (client.has_received()) {
      const Received ack = client.expect<amqp::BasicAck>(1);
      last = std::max(last, SimClient::as<amqp::BasicAck>(ack).delivery_tag);
    }
    return last;
  }
  void advance(Duration by) {
    broker_.advance(by);
    broker_.settle();
  }
};

TEST_P(Delayed, MessagesComeWhenTheyAreDue) {
  SimClient& a = near();
  SimClient& b = far();
  exchange(a, "x", "x-delayed-message", routes_as("direct"));
  declare(b, "q");
  bind(b, "q", "x", "k");
  confirm_mode(b);
  send(b, "k", "third", 30000);
  send(b, "k", "first", 10000);
  send(b, "k", "second", 20000);
  send(b, "k", "now", 0);
  send(b, "k", "also now", -5);
  broker_.settle();
  EXPECT_EQ(take_confirms(b), 5U);
  EXPECT_EQ(get(a, "q").body, "now");
  EXPECT_EQ(get(a, "q").body, "also now");
  EXPECT_EQ(depth(a, "q"), 0U);
  advance(10100ms);
  const Received first = get(a, "q");
  EXPECT_EQ(first.body, "first");
  const auto headers = amqp::decode_table(properties(first).headers->value);
  ASSERT_TRUE(headers.ok());
  EXPECT_EQ(amqp::as_integer(*headers->find("x-delay")), -10000);
  EXPECT_EQ(SimClient::as<amqp::BasicGetOk>(first).exchange.value, "x");
  EXPECT_EQ(depth(a, "q"), 0U);
  advance(21s);
  EXPECT_EQ(get(a, "q").body, "second");
  EXPECT_EQ(get(a, "q").body, "third");
}

// Confirmed means on disk here, too, and time goes on while the broker is down.
TEST_P(Delayed, WhatWaitsSurvivesACrash) {
  SimClient& a = near();
  exchange(a, "x", "x-delayed-message", routes_as("topic"));
  declare(a, "q");
  bind(a, "q", "x", "a.#");
  confirm_mode(a);
  for (int i = 0; i < 100; ++i) send(a, "a.b", std::to_string(i), 60000 + (i * 7919) % 100 * 1000);
  send(a, "other", "nowhere", 60000);
  broker_.settle();
  broker_.crash();
  broker_.clock().advance(120s);
  broker_.start();
  broker_.settle();
  SimClient& b = near();
  const std::uint32_t due = depth(b, "q");
  EXPECT_GT(due, 50U);
  EXPECT_LT(due, 70U);
  advance(40s);
  EXPECT_EQ(depth(b, "q"), 100U);
}

// Far more than memory holds, and in no order.
TEST_P(Delayed, DeepDelaysComeInOrder) {
  SimClient& a = near();
  exchange(a, "x", "x-delayed-message", routes_as("fanout"));
  declare(a, "q");
  bind(a, "q", "x", "");
  constexpr int kCount = 30000;
  const std::int64_t began = broker_.clock().wall_ms();
  const std::string bulk(300, 'x');
  for (int i = 0; i < kCount; ++i) {
    const int due = 3600000 + static_cast<int>((i * 7919LL) % kCount) * 100;
    send(a, "", std::to_string(due) + bulk, due);
    if (i % 200 == 0) broker_.settle();
  }
  broker_.settle();
  EXPECT_EQ(depth(a, "q"), 0U);
  broker_.stop();
  broker_.start();
  advance(3550s);
  std::uint32_t total = 0;
  for (int i = 0; i < 31; ++i) {
    advance(100s);
    SimClient& b = near();  // heartbeats have missed the jump
    const std::uint32_t due = depth(b, "q");
    total += due;
    for (std::uint32_t n = 0; n < due; ++n) {
      const std::int64_t when = std::stoi(get(b, "q").body.substr(0, 7));
      const std::int64_t passed = broker_.clock().wall_ms() - began;
      ASSERT_GE(passed, when);
      ASSERT_LE(passed, when + 200000);
    }
  }
  EXPECT_EQ(total, static_cast<std::uint32_t>(kCount));
}

TEST_P(Delayed, TheHiddenQueueIsNobodys) {
  SimClient& a = near();
  exchange(a, "x", "x-delayed-message", routes_as("direct"));
  declare(a, "q");
  bind(a, "q", "x", "k");
  for (int kind = 0; kind < 3; ++kind) {
    SimClient& c = far();
    if (kind == 0) {
      amqp::BasicConsume consume;
      consume.queue = "amq.delayed.x";
      c.call(1, consume);
    } else if (kind == 1) {
      amqp::QueueDelete remove;
      remove.queue = "amq.delayed.x";
      c.call(1, remove);
    } else {
      send_bind(c, "amq.delayed.x", "amq.direct", "k");
    }
    c.expect_channel_close(1, 403, "belongs to a delayed-message exchange");
  }
  PublishOptions options;
  options.routing_key = "amq.delayed.x";
  options.body = "m";
  options.mandatory = true;
  publish(a, options);
  a.expect<amqp::BasicReturn>(1);
}

TEST_P(Delayed, WhatWaitsGoesWithTheExchange) {
  SimClient& a = near();
  exchange(a, "x", "x-delayed-message", routes_as("direct"));
  declare(a, "q");
  bind(a, "q", "x", "k");
  send(a, "k", "m", 1000);
  broker_.settle();
  amqp::ExchangeDelete remove;
  remove.exchange = "x";
  a.call(1, remove);
  a.expect<amqp::ExchangeDeleteOk>(1);
  exchange(a, "x", "x-delayed-message", routes_as("direct"));
  bind(a, "q", "x", "k");
  advance(5s);
  EXPECT_EQ(depth(a, "q"), 0U);
}

TEST_P(Delayed, TheTypeMustBeOne) {
  for (const FieldTable& arguments :
       {FieldTable(), routes_as("nothing"), routes_as("x-delayed-message"),
        FieldTable().set("x-delayed-type", 5)}) {
    SimClient& a = near();
    declare_exchange(a, "x", "x-delayed-message", arguments);
    a.expect_channel_close(1, 406, "'x-delayed-type' must be an existing exchange type");
  }
}

TEST_P(Delayed, AnyTypeMayDelay) {
  SimClient& a = near();
  exchange(a, "x", "topic", FieldTable().set("x-delayed-exchange", true));
  declare(a, "q");
  bind(a, "q", "x", "#");
  send(a, "k", "m", 1000);
  broker_.settle();
  EXPECT_EQ(depth(a, "q"), 0U);
  advance(1100ms);
  EXPECT_EQ(depth(a, "q"), 1U);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Delayed, all_shapes(), shape_name);

}  // namespace
}  // namespace warren::test
