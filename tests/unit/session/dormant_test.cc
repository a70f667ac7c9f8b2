// SPDX-License-Identifier: Apache-2.0
// After a start a queue is built when somebody first asks for it, or at once when something in it
// happens by itself; nobody can tell the difference (B16).
#include <chrono>

#include "tests/support/sim_admin.h"
#include "tests/unit/session/queue_case.h"

namespace warren::test {
namespace {

using namespace std::chrono_literals;
using namespace amqp;  // NOLINT: methods by their AMQP names

class Dormant : public QueueCase {
 protected:
  std::size_t dormant() {
    std::size_t count = 0;
    for (ShardIndex i = 0; i < GetParam().shards; ++i) {
      count += broker_.shard(i).dormant_queue_count();
    }
    return count;
  }
  void fill(SimClient& client, const std::string& queue, const FieldTable& arguments = {}) {
    declare(client, queue, arguments);
    for (const char* body : {"a", "b", "c"}) put(client, queue, body);
  }
  void restart() {
    broker_.crash();
    broker_.start();
  }
  void set_policy(const std::string& pattern, const FieldTable& settings) {
    storage::PolicyDefinition policy;
    policy.vhost = "/";
    policy.name = pattern;
    policy.pattern = pattern;
    policy.definition = encode(settings);
    SimAdmin admin(broker_, GetParam().far);
    EXPECT_FALSE(admin.ask(broker::SetPolicy{{}, std::move(policy)}).has_value());
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, Dormant, all_shapes(), shape_name);

TEST_P(Dormant, AQueueIsBuiltByItsFirstUse) {
  for (const char* queue : {"got", "consumed", "published", "counted", "purged", "untouched"}) {
    fill(near(), queue);
  }
  fill(far(), "lanes", FieldTable().set("x-max-priority", 3));
  restart();
  ASSERT_EQ(dormant(), 7U);
  SimClient& client = far();
  EXPECT_EQ(drain(client, "got"), "a b c");
  EXPECT_EQ(dormant(), 6U);
  consume(client, "consumed");
  EXPECT_EQ(client.next_delivery(), "4 - a");  // behind three gets
  EXPECT_EQ(dormant(), 5U);
  put(client, "published", "d");
  EXPECT_EQ(dormant(), 4U);
  EXPECT_EQ(depth(near(), "counted"), 3U);
  EXPECT_EQ(dormant(), 3U);
  QueuePurge purge;
  purge.queue = "purged";
  SimClient& other = near();
  other.call(1, purge);
  EXPECT_EQ(SimClient::as<QueuePurgeOk>(other.expect<QueuePurgeOk>(1)).message_count, 3U);
  EXPECT_EQ(dormant(), 2U);
  EXPECT_EQ(drain(near(), "lanes"), "a b c");
  EXPECT_EQ(dormant(), 1U);
  EXPECT_EQ(drain(near(), "published"), "a b c d");
}

TEST_P(Dormant, WhatSleepsThroughStartsKeepsAll) {
  fill(near(), "q");
  get_unacked(far(), "q");
  restart();
  broker_.stop();
  broker_.start();
  restart();
  ASSERT_EQ(dormant(), 1U);
  SimClient& client = near();
  // B4: it was delivered, four processes ago.
  EXPECT_TRUE(SimClient::as<BasicGetOk>(get(client, "q")).redelivered);
  EXPECT_EQ(drain(client, "q"), "b c");
}

TEST_P(Dormant, WhatActsByItselfIsBuiltAtOnce) {
  fill(near(), "expires", FieldTable().set("x-expires", 1000));
  fill(near(), "ttl", FieldTable().set("x-message-ttl", 1000));
  declare(near(), "due");
  put(near(), "due", "x", "1000");
  fill(near(), "limited", FieldTable().set("x-max-length", 5));
  declare(near(), "plain", FieldTable().set("x-queue-type", "quorum"));
  restart();
  EXPECT_EQ(dormant(), 1U);
  advance(1100ms);
  SimClient& client = far();
  EXPECT_EQ(depth(client, "ttl"), 0U);
  EXPECT_EQ(depth(client, "due"), 0U);
  QueueDeclare declare;
  declare.queue = "expires";
  declare.passive = true;
  client.call(1, declare);
  client.expect_channel_close(1, 404, "no queue 'expires'");
}

TEST_P(Dormant, APolicyBuildsWhatItMakesAct) {
  fill(near(), "short");
  fill(near(), "timed");
  fill(near(), "other");
  restart();
  set_policy("^o", FieldTable().set("delivery-limit", 3));
  EXPECT_EQ(dormant(), 3U);
  set_policy("^s", FieldTable().set("max-length", 1));
  EXPECT_EQ(dormant(), 2U);
  set_policy("^t", FieldTable().set("message-ttl", 1000));
  EXPECT_EQ(dormant(), 1U);
  advance(1100ms);
  EXPECT_EQ(depth(near(), "short"), 1U);
  EXPECT_EQ(depth(near(), "timed"), 0U);
  EXPECT_EQ(depth(near(), "other"), 3U);
}

// A policy that came while it slept is in force when it is built (B12).
TEST_P(Dormant, ItIsBuiltWithThePoliciesOfThen) {
  fill(near(), "q");
  restart();
  set_policy("q", FieldTable().set("consumer-timeout", 60'000));
  ASSERT_EQ(dormant(), 1U);
  SimClient& client = far();
  consume(client, "q", "c", false);
  EXPECT_EQ(client.next_delivery(), "1 - a");
  advance(61s);
  while (client.has_received() && !client.has_received_close(1)) client.take();
  EXPECT_TRUE(client.has_received_close(1));
}

TEST_P(Dormant, DeletingItDropsWhatItKept) {
  fill(near(), "q");
  restart();
  SimClient& client = far();
  QueueDelete remove;
  remove.queue = "q";
  client.call(1, remove);
  EXPECT_EQ(SimClient::as<QueueDeleteOk>(client.expect<QueueDeleteOk>(1)).message_count, 3U);
  declare(client, "q");
  EXPECT_EQ(depth(client, "q"), 0U);
  restart();
  EXPECT_EQ(depth(near(), "q"), 0U);
}

}  // namespace
}  // namespace warren::test
