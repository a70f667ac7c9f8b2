// SPDX-License-Identifier: Apache-2.0
// What the simulation found, each as the shortest conversation that shows it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/sim_client.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

void declare(SimClient& client, const std::string& name, bool durable = true) {
  client.call(1, QueueDeclare{.queue = name, .durable = durable});
  client.expect<QueueDeclareOk>(1);
}

// Seed 4: a transient queue's log is opened by the first message that is paged.
TEST(FoundBySim, TheFirstMessageOfATransientQueueIsPaged) {
  SimOptions options;
  options.broker_limits.transient_bytes_per_shard = 50;
  SimBroker broker(options);
  SimClient& client = broker.connect();
  declare(client, "full", false);
  declare(client, "q", false);
  client.publish(1, {.exchange = {}, .routing_key = "full", .body = std::string(100, 'x')});
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "paged"});
  client.call(1, BasicGet{.queue = "q"});
  EXPECT_EQ(client.expect<BasicGetOk>(1).body, "paged");
}

// Seed 15: a confirm that comes when its channel is closed and another one has its number.
TEST(FoundBySim, AConfirmForAnEarlierChannelOfTheSameNumber) {
  SimOptions options;
  options.manual_commit = true;
  SimBroker broker(options);
  SimClient& client = broker.connect();
  client.call(1, QueueDeclare{.queue = "q", .durable = true});
  broker.commit();
  broker.settle();
  client.expect<QueueDeclareOk>(1);
  client.send(1, ConfirmSelect{.nowait = true});
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "old"});
  client.call(1, ChannelClose{});
  client.expect<ChannelCloseOk>(1);
  client.open_channel(1);
  client.send(1, ConfirmSelect{.nowait = true});
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "new"});
  broker.settle();
  while (broker.commit()) broker.settle();
  const Received ok = client.expect<BasicAck>(1);
  EXPECT_EQ(SimClient::as<BasicAck>(ok).delivery_tag, 1U);
  client.expect_nothing();
}

// Seed 1126: a consumer without acks used up the channel's limit, and the others waited for ever.
// It obeys the limit and takes nothing of it (rule 50).
TEST(FoundBySim, ANoAckConsumerObeysTheSharedLimitAndTakesNothingOfIt) {
  SimOptions options;
  options.shards = 2;
  SimBroker broker(options);
  SimClient& owner = broker.connect(1);
  declare(owner, "a");
  declare(owner, "b");
  SimClient& client = broker.connect(0);
  client.call(1, BasicQos{.prefetch_count = 1, .global = true});
  client.expect<BasicQosOk>(1);
  client.call(1, BasicConsume{.queue = "a", .consumer_tag = "free", .no_ack = true});
  client.expect<BasicConsumeOk>(1);
  client.call(1, BasicConsume{.queue = "b", .consumer_tag = "held"});
  client.expect<BasicConsumeOk>(1);
  for (int i = 0; i < 3; ++i) {
    owner.publish(1, {.exchange = {}, .routing_key = "a", .body = "a"});
    owner.publish(1, {.exchange = {}, .routing_key = "b", .body = "b"});
  }
  broker.settle();
  int a = 0;
  int b = 0;
  while (client.has_received()) {
    const Received next = client.expect<BasicDeliver>(1);
    (next.body == "a" ? a : b) += 1;
    if (next.body != "b") continue;
    EXPECT_FALSE(client.has_received()) << "the limit is 1";
    client.call(1, BasicAck{.delivery_tag = SimClient::as<BasicDeliver>(next).delivery_tag});
  }
  EXPECT_EQ(a, 3);
  EXPECT_EQ(b, 3);
}

}  // namespace
}  // namespace warren::test
