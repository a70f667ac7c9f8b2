// SPDX-License-Identifier: Apache-2.0
// Policies are in force at once, on what is there and on what comes, on every shard and after a
// restart (docs/compatibility.md, policies; conformance rule 64; B12).
#include <chrono>

#include <gmock/gmock.h>

#include "tests/support/sim_admin.h"
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace std::chrono_literals;
using amqp::FieldTable;
using storage::PolicyTarget;

class Policies : public SimCase {
 protected:
  static storage::PolicyDefinition policy(const std::string& name, const std::string& pattern,
                                          const FieldTable& settings, int priority = 0,
                                          PolicyTarget apply_to = PolicyTarget::all) {
    storage::PolicyDefinition out;
    out.vhost = "/";
    out.name = name;
    out.pattern = pattern;
    out.apply_to = apply_to;
    out.priority = priority;
    out.definition = encode(settings);
    return out;
  }
  // The text of the refusal; empty: it is set.
  std::string set(storage::PolicyDefinition definition) {
    SimAdmin admin(broker_, GetParam().far);
    const auto error = admin.ask(broker::SetPolicy{{}, std::move(definition)});
    return error ? error->text : "";
  }
  std::string clear(const std::string& name, bool operator_policy = false) {
    SimAdmin admin(broker_, GetParam().far);
    const auto error = admin.ask(broker::ClearPolicy{{}, "/", operator_policy, name});
    return error ? error->text : "";
  }
  void put(SimClient& client, const std::string& queue, const std::string& body,
           const std::string& exchange = {}) {
    PublishOptions options;
    options.exchange = exchange;
    options.routing_key = queue;
    options.body = body;
    publish(client, options);
  }
  void advance(Duration by) {
    broker_.advance(by);
    broker_.settle();
  }
};

TEST_P(Policies, ALimitHoldsAtOnceAndUntilItIsTakenBack) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q");
  for (const char* body : {"a", "b", "c"}) put(b, "q", body);
  EXPECT_EQ(set(policy("limit", "^q", FieldTable().set("max-length", 2))), "");
  EXPECT_EQ(depth(b, "q"), 2U);
  put(b, "q", "d");
  EXPECT_EQ(get(a, "q").body, "c");
  declare(a, "q2");  // comes later: the same
  for (const char* body : {"a", "b", "c"}) put(b, "q2", body);
  EXPECT_EQ(depth(a, "q2"), 2U);
  EXPECT_EQ(clear("limit"), "");
  for (const char* body : {"x", "y", "z"}) put(b, "q", body);
  EXPECT_EQ(depth(a, "q"), 4U);
}

TEST_P(Policies, TimeToLiveIsForWhatIsThereToo) {
  SimClient& a = near();
  declare(a, "q");
  put(a, "q", "old");
  advance(2s);
  EXPECT_EQ(set(policy("ttl", "q", FieldTable().set("message-ttl", 5000))), "");
  EXPECT_EQ(depth(a, "q"), 1U);
  advance(3100ms);
  EXPECT_EQ(depth(a, "q"), 0U);
  put(a, "q", "next");
  EXPECT_EQ(clear("ttl"), "");
  advance(60s);
  EXPECT_EQ(depth(a, "q"), 1U);
}

TEST_P(Policies, DeadLettersGoWhereThePolicySays) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q");
  declare(b, "dead");
  EXPECT_EQ(set(policy("dl", "^q$",
                       FieldTable()
                           .set("dead-letter-exchange", "")
                           .set("dead-letter-routing-key", "dead")
                           .set("max-length", 1))),
            "");
  put(a, "q", "first");
  put(a, "q", "second");
  EXPECT_EQ(depth(a, "q"), 1U);
  EXPECT_EQ(get(b, "dead").body, "first");
}

TEST_P(Policies, RefusalsBeginWithThePolicy) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q");
  confirm_mode(b);
  put(b, "q", "in");
  b.expect<amqp::BasicAck>(1);
  EXPECT_EQ(
      set(policy("full", "q", FieldTable().set("max-length", 1).set("overflow", "reject-publish"))),
      "");
  put(b, "q", "out");
  b.expect<amqp::BasicNack>(1);
  EXPECT_EQ(clear("full"), "");
  put(b, "q", "in again");
  b.expect<amqp::BasicAck>(1);
}

// What was counted stays counted while nobody counts.
TEST_P(Policies, CountsOfReturnsOutliveTheirPolicy) {
  SimClient& a = near();
  declare(a, "q");
  put(a, "q", "m");
  const auto retry = policy("retry", "q", FieldTable().set("delayed-retry-min", 100));
  const auto give_back = [&] {
    amqp::BasicGet get;
    get.queue = "q";
    a.call(1, get);
    const Received got = a.expect<amqp::BasicGetOk>(1);
    amqp::BasicNack nack;
    nack.delivery_tag = SimClient::as<amqp::BasicGetOk>(got).delivery_tag;
    nack.requeue = true;
    a.call(1, nack);
  };
  EXPECT_EQ(set(retry), "");
  give_back();
  EXPECT_EQ(depth(a, "q"), 0U);
  EXPECT_EQ(clear("retry"), "");  // what waits is ready
  EXPECT_EQ(depth(a, "q"), 1U);
  give_back();
  EXPECT_EQ(depth(a, "q"), 1U);
  EXPECT_EQ(set(retry), "");
  const Received got = get(a, "q");
  const auto headers = amqp::decode_table(properties(got).headers->value);
  EXPECT_EQ(amqp::as_integer(*headers->find("x-delivery-count")), 1);
}

TEST_P(Policies, AlternateExchange) {
  SimClient& a = near();
  SimClient& b = far();
  exchange(a, "x", "direct");
  exchange(a, "spare", "fanout");
  declare(b, "q");
  bind(b, "q", "spare", "");
  put(b, "nowhere", "lost", "x");
  EXPECT_EQ(set(policy("ae", "^x$", FieldTable().set("alternate-exchange", "spare"), 0,
                       PolicyTarget::exchanges)),
            "");
  put(b, "nowhere", "caught", "x");
  EXPECT_EQ(depth(a, "q"), 1U);
  EXPECT_EQ(get(a, "q").body, "caught");
  EXPECT_EQ(clear("ae"), "");
  put(b, "nowhere", "lost", "x");
  EXPECT_EQ(depth(a, "q"), 0U);
}

TEST_P(Policies, UnusedQueuesExpire) {
  SimClient& a = near();
  declare(a, "q");
  advance(10s);
  EXPECT_EQ(set(policy("e", "q", FieldTable().set("expires", 1000))), "");
  advance(1500ms);
  amqp::QueueDeclare passive;
  passive.queue = "q";
  passive.passive = true;
  a.call(1, passive);
  const Received close = a.expect<amqp::ChannelClose>(1);
  EXPECT_EQ(SimClient::as<amqp::ChannelClose>(close).reply_code, 404);
}

TEST_P(Policies, OperatorsBoundUsers) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-max-length", 10));
  storage::PolicyDefinition bound = policy("bound", "q", FieldTable().set("max-length", 2));
  bound.operator_policy = true;
  EXPECT_EQ(set(bound), "");
  EXPECT_EQ(set(policy("user", "q", FieldTable().set("max-length", 100))), "");
  for (const char* body : {"a", "b", "c"}) put(a, "q", body);
  EXPECT_EQ(depth(a, "q"), 2U);
  EXPECT_EQ(clear("bound", true), "");
  for (int i = 0; i < 20; ++i) put(a, "q", "m");
  EXPECT_EQ(depth(a, "q"), 10U);
}

TEST_P(Policies, OutliveAPowerLossAndAreGoneWhenCleared) {
  {
    SimClient& a = near();
    declare(a, "q");
    exchange(a, "x", "direct");
    EXPECT_EQ(set(policy("kept", "^q", FieldTable().set("max-length", 1))), "");
    EXPECT_EQ(set(policy("gone", "^q", FieldTable().set("max-length", 0), 5)), "");
    EXPECT_EQ(clear("gone"), "");
  }
  broker_.crash();
  broker_.start();
  SimClient& a = near();
  for (const char* body : {"a", "b"}) put(a, "q", body);
  EXPECT_EQ(depth(a, "q"), 1U);
  EXPECT_THAT(clear("gone"), ::testing::HasSubstr("no policy 'gone' in vhost '/'"));
  EXPECT_EQ(clear("kept"), "");
}

// Messages that wait for their time have no other limits.
TEST_P(Policies, DelayedMessagesAreLeftAlone) {
  SimClient& a = near();
  exchange(a, "later", "x-delayed-message", FieldTable().set("x-delayed-type", "fanout"));
  declare(a, "q");
  bind(a, "q", "later", "");
  EXPECT_EQ(set(policy("all", ".*", FieldTable().set("message-ttl", 100).set("max-length", 5))),
            "");
  PublishOptions options;
  options.exchange = "later";
  options.body = "m";
  options.headers = encode(FieldTable().set("x-delay", 1000));
  publish(a, options);
  advance(1001ms);
  EXPECT_EQ(depth(a, "q"), 1U);
  advance(101ms);
  EXPECT_EQ(depth(a, "q"), 0U);
}

TEST_P(Policies, BadOnesAreRefusedAndChangeNothing) {
  SimClient& a = near();
  declare(a, "q");
  EXPECT_THAT(set(policy("p", "(", FieldTable().set("max-length", 1))),
              ::testing::HasSubstr("policy 'p' in vhost '/': the pattern"));
  storage::PolicyDefinition elsewhere = policy("p", "", FieldTable().set("max-length", 1));
  elsewhere.vhost = "none";
  EXPECT_THAT(set(elsewhere), ::testing::HasSubstr("no vhost 'none'"));
  EXPECT_THAT(clear("p"), ::testing::HasSubstr("no policy"));
  for (const char* body : {"a", "b"}) put(a, "q", body);
  EXPECT_EQ(depth(a, "q"), 2U);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Policies, all_shapes(), shape_name);

}  // namespace
}  // namespace warren::test
