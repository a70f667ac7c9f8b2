// SPDX-License-Identifier: Apache-2.0
// What queues do by themselves: time to live, limits, dead letters, priorities, single active
// consumers, delivery limits (docs/compatibility.md; conformance rules 25, 39, 51, 55 to 59).
#include <chrono>

#include "tests/unit/session/queue_case.h"

namespace warren::test {
namespace {

using namespace std::chrono_literals;
using amqp::FieldTable;

class QueueFeatures : public QueueCase {};

TEST_P(QueueFeatures, QueueTtlDropsFromTheHead) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q", FieldTable().set("x-message-ttl", 1000));
  put(b, "q", "old");
  advance(600ms);
  put(b, "q", "young");
  EXPECT_EQ(depth(a, "q"), 2U);
  advance(500ms);
  EXPECT_EQ(depth(a, "q"), 1U);
  EXPECT_EQ(drain(a, "q"), "young");
  put(b, "q", "last");
  advance(1100ms);
  EXPECT_EQ(depth(a, "q"), 0U);
}

TEST_P(QueueFeatures, ZeroTtlReachesWhoWaitsOnly) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-message-ttl", 0));
  put(a, "q", "nobody");
  EXPECT_EQ(depth(a, "q"), 0U);
  SimClient& b = far();
  consume(b, "q");
  put(a, "q", "somebody");
  EXPECT_EQ(b.next_delivery(), "1 - somebody");
}

// A message leaves when its time is over, wherever it stands (B9).
TEST_P(QueueFeatures, MessagesExpireBehindLongerLivedOnes) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q");
  put(b, "q", "stays");
  put(b, "q", "short", "300");
  put(b, "q", "long", "60000");
  put(b, "q", "middle", "5000");
  advance(400ms);
  EXPECT_EQ(depth(a, "q"), 3U);
  advance(5s);
  EXPECT_EQ(depth(a, "q"), 2U);
  EXPECT_EQ(drain(a, "q"), "stays long");
}

// ... also deep in a queue of which the head only is in memory, and right after a restart.
TEST_P(QueueFeatures, MessagesExpireOnDiskOutOfTheirTurn) {
  SimClient& a = near();
  declare(a, "q");
  const std::string bulk(2000, 'x');
  for (int i = 0; i < 6000; ++i) {
    put(a, "q", bulk, i % 1000 == 999 ? "3600000" : "");
    if (i % 100 == 0) broker_.settle();
  }
  EXPECT_EQ(depth(a, "q"), 6000U);
  advance(3601s);
  EXPECT_EQ(depth(a, "q"), 5994U);
  for (int i = 0; i < 10; ++i) put(a, "q", bulk, i < 5 ? "3600000" : "");
  broker_.stop();
  broker_.start();
  SimClient& again = near();
  EXPECT_EQ(depth(again, "q"), 6004U);
  advance(3601s);
  EXPECT_EQ(depth(again, "q"), 5999U);
  const std::string all = drain(again, "q");
  EXPECT_EQ(all.size(), 5999U * 2001 - 1);
}

// B9, also in a queue that nobody touches after a restart, and of messages that are in no index.
TEST_P(QueueFeatures, MessagesExpireAfterARestartWithoutAnyUse) {
  SimClient& a = near();
  declare(a, "q");
  for (const char* life : {"1000", "2000", "3600000"}) put(a, "q", "m", life);
  broker_.stop();
  broker_.start();
  advance(2100ms);
  EXPECT_EQ(depth(near(), "q"), 1U);
  advance(3600s);
  EXPECT_EQ(depth(near(), "q"), 0U);
}

TEST_P(QueueFeatures, ARequeuedMessageKeepsItsDeadline) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-message-ttl", 1000));
  put(a, "q", "m");
  const Received got = get_unacked(a, "q");
  advance(1500ms);
  reject(a, tag_of(got), true);
  EXPECT_EQ(depth(a, "q"), 0U);
}

TEST_P(QueueFeatures, LengthLimitsDropTheHead) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "count", FieldTable().set("x-max-length", 2));
  declare(a, "bytes", FieldTable().set("x-max-length-bytes", 5));
  for (const char* body : {"aa", "bb", "cc"}) {
    put(b, "count", body);
    put(b, "bytes", body);
  }
  EXPECT_EQ(drain(a, "count"), "bb cc");
  EXPECT_EQ(drain(a, "bytes"), "bb cc");
}

TEST_P(QueueFeatures, UnackedMessagesDoNotCountAgainstTheLimit) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-max-length", 1));
  put(a, "q", "held");
  get_unacked(a, "q");
  put(a, "q", "ready");
  EXPECT_EQ(depth(a, "q"), 1U);
}

TEST_P(QueueFeatures, AFullQueueRefusesThePublish) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q", FieldTable().set("x-max-length", 1).set("x-overflow", "reject-publish"));
  confirm_mode(b);
  for (const bool persistent : {true, false}) {
    put(b, "q", "in", "", -1, persistent);
    b.expect<amqp::BasicAck>(1);
    put(b, "q", "out", "", -1, persistent);
    const Received nack = b.expect<amqp::BasicNack>(1);
    EXPECT_FALSE(SimClient::as<amqp::BasicNack>(nack).multiple);
    EXPECT_EQ(drain(a, "q"), "in");
  }
}

TEST_P(QueueFeatures, ARefusedPublishMayBeDeadLettered) {
  SimClient& a = near();
  SimClient& b = far();
  declare(b, "dead");
  declare(a, "q",
          FieldTable()
              .set("x-max-length", 1)
              .set("x-overflow", "reject-publish-dlx")
              .set("x-dead-letter-exchange", "")
              .set("x-dead-letter-routing-key", "dead"));
  put(a, "q", "in");
  put(a, "q", "out");
  const Received dead = get(b, "dead");
  EXPECT_EQ(dead.body, "out");
  EXPECT_EQ(deaths_of(dead), "maxlen q '' 1 [q]");
}

TEST_P(QueueFeatures, DeadLettersCarryTheirHistory) {
  SimClient& a = near();
  SimClient& b = far();
  exchange(a, "dlx", "fanout");
  exchange(a, "x", "direct");
  declare(b, "dead");
  bind(b, "dead", "dlx", "");
  declare(a, "q", FieldTable().set("x-dead-letter-exchange", "dlx"));
  bind(a, "q", "x", "key");
  PublishOptions options;
  options.exchange = "x";
  options.routing_key = "key";
  options.body = "m";
  options.expiration = "1000";
  options.headers = encode(FieldTable().set("mine", "kept"));
  publish(a, options);
  advance(1100ms);
  const Received dead = get(b, "dead");
  EXPECT_EQ(SimClient::as<amqp::BasicGetOk>(dead).exchange.value, "dlx");
  EXPECT_EQ(SimClient::as<amqp::BasicGetOk>(dead).routing_key.value, "key");
  EXPECT_FALSE(SimClient::as<amqp::BasicGetOk>(dead).redelivered);
  EXPECT_EQ(deaths_of(dead), "expired q 'x' 1 [key]");
  EXPECT_FALSE(properties(dead).expiration.has_value());
  EXPECT_EQ(properties(dead).delivery_mode, 2);
  const FieldTable headers = headers_of(dead);
  EXPECT_EQ(amqp::as_string(*headers.find("mine")), "kept");
  for (const char* which : {"first", "last"}) {
    EXPECT_EQ(amqp::as_string(*headers.find(fmt::format("x-{}-death-reason", which))), "expired");
    EXPECT_EQ(amqp::as_string(*headers.find(fmt::format("x-{}-death-queue", which))), "q");
    EXPECT_EQ(amqp::as_string(*headers.find(fmt::format("x-{}-death-exchange", which))), "x");
  }
  const auto& first = *headers.find("x-death")->get<amqp::FieldArray>()->front().get<FieldTable>();
  EXPECT_EQ(amqp::as_string(*first.find("original-expiration")), "1000");
  EXPECT_EQ(first.find("time")->type(), amqp::FieldType::timestamp);
}

// Back and forth between two queues: each pair of queue and reason has one entry, the last first.
TEST_P(QueueFeatures, RepeatedDeathsAreCounted) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q",
          FieldTable().set("x-dead-letter-exchange", "").set("x-dead-letter-routing-key", "retry"));
  declare(b, "retry",
          FieldTable()
              .set("x-message-ttl", 100)
              .set("x-dead-letter-exchange", "")
              .set("x-dead-letter-routing-key", "q"));
  put(a, "q", "m");
  for (int round = 1; round <= 3; ++round) {
    reject(a, tag_of(get_unacked(a, "q")), false);
    EXPECT_EQ(depth(b, "retry"), 1U);
    advance(150ms);
    EXPECT_EQ(depth(a, "q"), 1U);
  }
  EXPECT_EQ(deaths_of(get(a, "q")), "expired retry '' 3 [retry]; rejected q '' 3 [q]");
}

// Without a rejection a message does not enter a queue again that it died in.
TEST_P(QueueFeatures, AutomaticCyclesEnd) {
  SimClient& a = near();
  declare(a, "one",
          FieldTable()
              .set("x-message-ttl", 100)
              .set("x-dead-letter-exchange", "")
              .set("x-dead-letter-routing-key", "two"));
  declare(far(), "two",
          FieldTable()
              .set("x-message-ttl", 100)
              .set("x-dead-letter-exchange", "")
              .set("x-dead-letter-routing-key", "one"));
  put(a, "one", "m");
  advance(150ms);
  EXPECT_EQ(depth(a, "two"), 1U);
  advance(150ms);
  EXPECT_EQ(depth(a, "one") + depth(a, "two"), 0U);
}

// What a publisher wrote into x-death is counted on, but keeps no message from where it goes.
TEST_P(QueueFeatures, ClientsXDeathDecidesNothing) {
  SimClient& a = near();
  declare(a, "dead");
  declare(a, "q",
          FieldTable()
              .set("x-message-ttl", 100)
              .set("x-dead-letter-exchange", "")
              .set("x-dead-letter-routing-key", "dead"));
  put(a, "q", "first");
  advance(150ms);
  const Received dead = get(a, "dead");
  PublishOptions options;
  options.routing_key = "q";
  options.body = "again";
  options.headers = std::string(properties(dead).headers->value);
  publish(a, options);
  advance(150ms);
  EXPECT_EQ(deaths_of(get(a, "dead")), "expired q '' 2 [q]");
}

TEST_P(QueueFeatures, MissingDeadLetterExchangeDropsTheMessage) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-dead-letter-exchange", "nowhere"));
  put(a, "q", "m");
  reject(a, tag_of(get_unacked(a, "q")), false);
  EXPECT_EQ(depth(a, "q"), 0U);
  EXPECT_EQ(drain(a, "q"), "");
}

TEST_P(QueueFeatures, PurgeAndDeleteDoNotDeadLetter) {
  SimClient& a = near();
  declare(a, "dead");
  const FieldTable arguments =
      FieldTable().set("x-dead-letter-exchange", "").set("x-dead-letter-routing-key", "dead");
  declare(a, "q", arguments);
  put(a, "q", "m");
  amqp::QueuePurge purge;
  purge.queue = "q";
  a.call(1, purge);
  a.expect<amqp::QueuePurgeOk>(1);
  put(a, "q", "m");
  amqp::QueueDelete remove;
  remove.queue = "q";
  a.call(1, remove);
  a.expect<amqp::QueueDeleteOk>(1);
  EXPECT_EQ(depth(a, "dead"), 0U);
}

TEST_P(QueueFeatures, HigherPrioritiesComeFirst) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q", FieldTable().set("x-max-priority", 5));
  put(b, "q", "none");
  put(b, "q", "low", "", 1);
  put(b, "q", "high1", "", 5);
  put(b, "q", "above", "", 200);
  put(b, "q", "low2", "", 1);
  EXPECT_EQ(drain(a, "q"), "high1 above low low2 none");
}

TEST_P(QueueFeatures, PrioritiesSurviveARestart) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-max-priority", 9));
  const std::string bulk(1000, 'x');
  for (int i = 0; i < 2000; ++i) put(a, "q", fmt::format("{}{:04}{}", i % 10, i, bulk), "", i % 10);
  broker_.crash();
  broker_.start();
  SimClient& b = near();
  EXPECT_EQ(depth(b, "q"), 2000U);
  std::string before = "99999";
  for (int i = 0; i < 2000; ++i) {
    const std::string body = get(b, "q").body.substr(0, 5);
    const bool in_order =
        body[0] < before[0] || (body[0] == before[0] && body > before) || before == "99999";
    ASSERT_TRUE(in_order) << before << " then " << body;
    before = body;
  }
  EXPECT_EQ(depth(b, "q"), 0U);
}

TEST_P(QueueFeatures, ARequeueKeepsThePriority) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-max-priority", 5));
  put(a, "q", "high", "", 5);
  const Received got = get_unacked(a, "q");
  put(a, "q", "low", "", 1);
  put(a, "q", "high2", "", 5);
  reject(a, tag_of(got), true);
  EXPECT_EQ(drain(a, "q"), "high high2 low");
}

TEST_P(QueueFeatures, OneConsumerIsActiveUntilItGoes) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q", FieldTable().set("x-single-active-consumer", true));
  consume(a, "q", "first");
  consume(b, "q", "second");
  put(a, "q", "1");
  put(a, "q", "2");
  EXPECT_EQ(a.next_delivery(), "1 - 1");
  EXPECT_EQ(a.next_delivery(), "2 - 2");
  b.expect_nothing();
  a.call(1, amqp::BasicCancel{.consumer_tag = "first"});
  a.expect<amqp::BasicCancelOk>(1);
  put(a, "q", "3");
  EXPECT_EQ(b.next_delivery(), "1 - 3");
}

TEST_P(QueueFeatures, DeliveriesAreCountedUpToTheLimit) {
  SimClient& a = near();
  declare(a, "dead");
  declare(a, "q",
          FieldTable()
              .set("x-queue-type", "quorum")
              .set("x-delivery-limit", 2)
              .set("x-dead-letter-exchange", "")
              .set("x-dead-letter-routing-key", "dead"));
  put(a, "q", "m");
  for (int returned = 0; returned <= 2; ++returned) {
    const Received got = get_unacked(a, "q");
    const FieldTable headers = headers_of(got);
    const auto* const count = headers.find("x-delivery-count");
    EXPECT_EQ(count == nullptr ? 0 : *amqp::as_integer(*count), returned);
    EXPECT_EQ(SimClient::as<amqp::BasicGetOk>(got).redelivered, returned > 0);
    reject(a, tag_of(got), true);
  }
  EXPECT_EQ(depth(a, "q"), 0U);
  EXPECT_EQ(deaths_of(get(a, "dead")), "delivery_limit q '' 1 [q]");
}

TEST_P(QueueFeatures, TheDeliveryCountSurvivesACrash) {
  SimClient& a = near();
  declare(a, "q", FieldTable().set("x-queue-type", "quorum"));
  put(a, "q", "m");
  put(a, "q", "other");
  reject(a, tag_of(get_unacked(a, "q")), true);
  reject(a, tag_of(get_unacked(a, "q")), true);
  advance(50ms);
  broker_.crash();
  broker_.start();
  SimClient& b = near();
  const Received got = get_unacked(b, "q");
  EXPECT_EQ(got.body, "m");
  const FieldTable headers = headers_of(got);
  ASSERT_NE(headers.find("x-delivery-count"), nullptr);
  EXPECT_EQ(amqp::as_integer(*headers.find("x-delivery-count")), 2);
}

TEST_P(QueueFeatures, UnusedQueuesExpire) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q", FieldTable().set("x-expires", 1000));
  put(b, "q", "does not count as use");
  advance(600ms);
  declare(b, "q", FieldTable().set("x-expires", 1000));
  advance(600ms);
  EXPECT_EQ(depth(a, "q"), 1U);
  consume(b, "q");
  b.next_delivery();
  advance(5s);
  b.expect_nothing();
  b.call(1, amqp::BasicCancel{.consumer_tag = "c"});
  b.expect<amqp::BasicCancelOk>(1);
  advance(900ms);
  put(a, "q", "m");
  advance(200ms);
  amqp::QueueDeclare passive;
  passive.queue = "q";
  passive.passive = true;
  a.call(1, passive);
  a.expect_channel_close(1, 404, "no queue 'q'");
}

TEST_P(QueueFeatures, AForgottenDeliveryClosesItsChannel) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "q", FieldTable().set("x-consumer-timeout", 2000));
  consume(b, "q", "c", false);
  put(a, "q", "m");
  EXPECT_EQ(b.next_delivery(), "1 - m");
  advance(1500ms);
  b.expect_nothing();
  advance(600ms);
  b.expect_channel_close(1, 406, "delivery acknowledgement on channel 1 timed out");
  EXPECT_EQ(depth(a, "q"), 1U);
}

INSTANTIATE_TEST_SUITE_P(Shapes, QueueFeatures, all_shapes(), shape_name);

}  // namespace
}  // namespace warren::test
