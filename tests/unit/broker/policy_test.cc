// SPDX-License-Identifier: Apache-2.0
#include "server/broker/policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/queue_settings.h"

namespace warren::broker {
namespace {

using amqp::FieldTable;
using ::testing::HasSubstr;

storage::PolicyDefinition policy(const std::string& name, const std::string& pattern,
                                 const FieldTable& settings, int priority = 0,
                                 storage::PolicyTarget apply_to = storage::PolicyTarget::all) {
  storage::PolicyDefinition out;
  out.vhost = "/";
  out.name = name;
  out.pattern = pattern;
  out.apply_to = apply_to;
  out.priority = priority;
  amqp::encode_table(out.definition, settings);
  return out;
}

std::string name_of(const Policy* found) {
  return found == nullptr ? "none" : found->source.name;
}

TEST(Policy, TheHighestPriorityThatMatchesCountsAlone) {
  PolicyStore store;
  EXPECT_TRUE(store.empty());
  store.set(policy("low", "^q", FieldTable().set("message-ttl", 1), 1));
  store.set(policy("high", "q$", FieldTable().set("max-length", 2), 7));
  store.set(policy("other", "^x", FieldTable().set("max-length", 3), 9));
  const auto match = [&](const char* name) {
    return name_of(store.match(false, PolicySubject::classic_queue, name));
  };
  EXPECT_EQ(match("q1"), "low");
  EXPECT_EQ(match("q"), "high");
  EXPECT_EQ(match("x-q"), "other");
  EXPECT_EQ(match("nothing"), "none");
  EXPECT_EQ(store.effective(PolicySubject::classic_queue, "q"), FieldTable().set("max-length", 2));
  store.clear(false, "high");
  EXPECT_EQ(match("q"), "low");
  store.set(policy("low", "^z", FieldTable().set("message-ttl", 1), 1));  // replaces
  EXPECT_EQ(match("q"), "none");
}

TEST(Policy, OneOfEqualPriorityIsChosenByName) {
  PolicyStore store;
  store.set(policy("b", "", FieldTable().set("max-length", 1), 3));
  store.set(policy("a", "", FieldTable().set("max-length", 2), 3));
  EXPECT_EQ(name_of(store.match(false, PolicySubject::exchange, "any")), "a");
}

TEST(Policy, AppliesToWhatItIsFor) {
  using Target = storage::PolicyTarget;
  const auto matches = [](Target target) {
    const Policy one(policy("p", ".*", FieldTable().set("max-length", 1), 0, target));
    std::string out;
    for (const auto subject : {PolicySubject::classic_queue, PolicySubject::quorum_queue,
                               PolicySubject::stream, PolicySubject::exchange}) {
      out += one.applies_to(subject, "n") ? '1' : '0';
    }
    return out;
  };
  EXPECT_EQ(matches(Target::all), "1111");
  EXPECT_EQ(matches(Target::queues), "1110");
  EXPECT_EQ(matches(Target::classic_queues), "1000");
  EXPECT_EQ(matches(Target::quorum_queues), "0100");
  EXPECT_EQ(matches(Target::streams), "0010");
  EXPECT_EQ(matches(Target::exchanges), "0001");
}

TEST(Policy, OperatorsBoundAndDoNotRaise) {
  PolicyStore store;
  store.set(policy("user", ".*",
                   FieldTable()
                       .set("message-ttl", 1000)
                       .set("max-length", 5)
                       .set("overflow", "drop-head")
                       .set("dead-letter-exchange", "dlx")));
  storage::PolicyDefinition bound = policy("bound", ".*",
                                           FieldTable()
                                               .set("message-ttl", 100)
                                               .set("max-length", 50)
                                               .set("max-length-bytes", 7)
                                               .set("overflow", "reject-publish"));
  bound.operator_policy = true;
  store.set(bound);
  const FieldTable effective = store.effective(PolicySubject::classic_queue, "q");
  EXPECT_EQ(amqp::as_integer(*effective.find("message-ttl")), 100);
  EXPECT_EQ(amqp::as_integer(*effective.find("max-length")), 5);
  EXPECT_EQ(amqp::as_integer(*effective.find("max-length-bytes")), 7);
  EXPECT_EQ(amqp::as_string(*effective.find("overflow")), "reject-publish");
  EXPECT_EQ(amqp::as_string(*effective.find("dead-letter-exchange")), "dlx");
  // One of each kind may have the same name.
  store.clear(false, "bound");
  EXPECT_NE(store.find(true, "bound"), nullptr);
}

TEST(Policy, ALimitBelowZeroIsNone) {
  EXPECT_EQ(smaller_limit(-1, 5), 5);
  EXPECT_EQ(smaller_limit(5, -1), 5);
  EXPECT_EQ(smaller_limit(-1, -1), -1);
  EXPECT_EQ(smaller_limit(3, 5), 3);
  EXPECT_EQ(smaller_limit(0, 5), 0);
}

// B12
TEST(Policy, ArgumentsAndPoliciesComeToSettings) {
  storage::QueueDefinition queue;
  queue.name = "q";
  amqp::encode_table(
      queue.arguments,
      FieldTable().set("x-message-ttl", 500).set("x-dead-letter-exchange", "mine"));
  const QueueSettings settings = queue_settings(queue, FieldTable()
                                                           .set("message-ttl", 100)
                                                           .set("max-length", 3)
                                                           .set("dead-letter-exchange", "theirs")
                                                           .set("dead-letter-routing-key", "k")
                                                           .set("delivery-limit", 2));
  EXPECT_EQ(settings.message_ttl_ms, 100);
  EXPECT_EQ(settings.max_length, 3U);
  EXPECT_EQ(settings.dead_letter_exchange, "mine");  // a name: the argument's
  EXPECT_EQ(settings.dead_letter_routing_key, "k");
  EXPECT_EQ(settings.delivery_limit, std::nullopt);  // of quorum queues
  queue.arguments.clear();
  amqp::encode_table(queue.arguments,
                     FieldTable().set("x-queue-type", "quorum").set("x-delivery-limit", -1));
  EXPECT_EQ(queue_settings(queue, {}).delivery_limit, std::nullopt);
  EXPECT_EQ(queue_settings(queue, FieldTable().set("delivery-limit", 2)).delivery_limit, 2);
}

TEST(Policy, WhatMayNotBeSetIsSaid) {
  const auto why = [](storage::PolicyDefinition one) {
    return check_policy(one).value_or("nothing");
  };
  const FieldTable fine = FieldTable().set("max-length", 1);
  EXPECT_EQ(why(policy("p", "^q", fine)), "nothing");
  EXPECT_EQ(why(policy("p", "", fine)), "nothing");
  EXPECT_THAT(why(policy("", "^q", fine)), HasSubstr("name is empty"));
  EXPECT_THAT(why(policy(std::string(256, 'n'), "^q", fine)), HasSubstr("longer than 255"));
  EXPECT_THAT(why(policy("p", "(", fine)), HasSubstr("pattern '('"));
  EXPECT_THAT(why(policy("p", "q", {})), HasSubstr("definition is empty"));
  EXPECT_THAT(why(policy("p", "q", FieldTable().set("max-lenght", 1))),
              HasSubstr("'max-lenght' is not a recognised policy setting"));
  EXPECT_THAT(why(policy("p", "q", FieldTable().set("max-length", -1))),
              HasSubstr("'max-length': value -1 is below 0"));
  EXPECT_THAT(why(policy("p", "q", FieldTable().set("message-ttl", "1"))),
              HasSubstr("'message-ttl': unacceptable type longstr"));
  EXPECT_THAT(why(policy("p", "q", FieldTable().set("overflow", "spill"))),
              HasSubstr("invalid overflow 'spill'"));
  EXPECT_THAT(why(policy("p", "q", FieldTable().set("alternate-exchange", 1))),
              HasSubstr("'alternate-exchange': unacceptable type"));
  storage::PolicyDefinition bad = policy("p", "q", fine);
  bad.definition = "\xff";
  EXPECT_THAT(why(bad), HasSubstr("no field table"));
  storage::PolicyDefinition bound = policy("p", "q", FieldTable().set("dead-letter-exchange", "x"));
  bound.operator_policy = true;
  EXPECT_THAT(why(bound), HasSubstr("not a setting of operator policies"));
}

}  // namespace
}  // namespace warren::broker
