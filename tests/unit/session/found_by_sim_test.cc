// SPDX-License-Identifier: Apache-2.0
// What the simulation and the properties of the queue found, each as the shortest conversation that
// shows it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"

#include "tests/support/sim_client.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

void declare(SimClient& client, const std::string& name, bool durable = true) {
  client.call(1, QueueDeclare{.queue = name, .durable = durable});
  client.expect<QueueDeclareOk>(1);
}

std::string encode(const FieldTable& table) {
  std::string bytes;
  encode_table(bytes, table);
  return bytes;
}

std::uint32_t depth(SimClient& client, const std::string& queue) {
  client.call(1, QueueDeclare{.queue = queue, .passive = true});
  return SimClient::as<QueueDeclareOk>(client.expect<QueueDeclareOk>(1)).message_count;
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
// It obeys the limit and takes nothing of it (conformance rule 50).
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

// The index of what waits is on disk for durable messages only: a transient one that was paged out
// was never found again.
TEST(FoundBySim, DelayedTransientMessagesBeyondTheWindowComeAllTheSame) {
  SimOptions options;
  options.broker_limits.queue_window_bytes = 300;
  options.broker_limits.transient_bytes_per_shard = 300;
  for (const bool durable : {true, false}) {
    SimBroker broker(options);
    SimClient& client = broker.connect();
    declare(client, "q");
    const std::string type = encode(FieldTable().set("x-delayed-type", "fanout"));
    client.call(
        1,
        ExchangeDeclare{
            .exchange = "x", .type = "x-delayed-message", .durable = durable, .arguments = type});
    client.expect<ExchangeDeclareOk>(1);
    client.call(1, QueueBind{.queue = "q", .exchange = "x"});
    client.expect<QueueBindOk>(1);
    for (int i = 0; i < 20; ++i) {
      client.publish(1, {.exchange = "x",
                         .routing_key = "",
                         .body = std::string(100, 'x'),
                         .persistent = false,
                         .headers = encode(FieldTable().set("x-delay", 1000 + i))});
      broker.settle();
    }
    broker.advance(std::chrono::seconds(2));
    EXPECT_EQ(depth(client, "q"), 20U) << durable;
  }
}

// A retry queue: nobody consumes from it, nobody need publish to it again.
TEST(FoundBySim, AQueueThatNobodyTouchesExpiresAfterARestart) {
  SimBroker broker;
  SimClient& client = broker.connect();
  declare(client, "again");
  const std::string arguments = encode(FieldTable()
                                           .set("x-message-ttl", 1000)
                                           .set("x-dead-letter-exchange", "")
                                           .set("x-dead-letter-routing-key", "again"));
  client.call(1, QueueDeclare{.queue = "later", .durable = true, .arguments = arguments});
  client.expect<QueueDeclareOk>(1);
  client.publish(1, {.exchange = {}, .routing_key = "later", .body = "m"});
  broker.settle();
  broker.crash();
  broker.start();
  broker.advance(std::chrono::seconds(2));
  EXPECT_EQ(depth(broker.connect(), "again"), 1U);
}

// Behind what was delivered lay one whose time was over, and behind that one for the consumer.
TEST(FoundBySim, AnExpiredMessageInBetweenDoesNotStopTheConsumer) {
  SimBroker broker;
  SimClient& client = broker.connect();
  declare(client, "q");
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "1", .expiration = "170"});
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "2", .expiration = "125"});
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "3"});
  broker.settle();
  broker.advance(std::chrono::milliseconds(115));
  client.call(1, BasicConsume{.queue = "q"});
  client.expect<BasicConsumeOk>(1);
  EXPECT_EQ(client.next_delivery(), "1 - 1");
  EXPECT_EQ(client.next_delivery(), "2 - 3");
}

// What a consumer held was not counted as ahead of what came meanwhile.
TEST(FoundBySim, AMessageBehindOneThatComesBackExpires) {
  SimBroker broker;
  SimClient& client = broker.connect();
  declare(client, "q");
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "held"});
  client.call(1, BasicGet{.queue = "q"});
  EXPECT_EQ(client.expect<BasicGetOk>(1).body, "held");
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "m", .expiration = "100"});
  client.call(1, BasicReject{.delivery_tag = 1, .requeue = true});
  broker.advance(std::chrono::seconds(1));
  EXPECT_EQ(depth(client, "q"), 1U);
}

// Seed 60007544 (B13): a second declare, on a shard that knew the queue already, was answered while
// another shard had not heard of it yet.
TEST(FoundBySim, AnAnsweredDeclareIsKnownToEverybody) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimOptions options;
    options.shards = 3;
    options.seed = seed;
    SimBroker broker(options);
    SimClient& first = broker.connect(0);
    SimClient& second = broker.connect(1);
    SimClient& publisher = broker.connect(2);
    first.send(1, QueueDeclare{.queue = "q"});
    while (broker.shard(1).topology().find_vhost("/")->find_queue("q") == nullptr) broker.step();
    second.send(1, QueueDeclare{.queue = "q"});
    while (!second.has_received()) broker.step();
    second.expect<QueueDeclareOk>(1);
    publisher.publish(1, {.exchange = {}, .routing_key = "q", .body = "x", .mandatory = true});
    for (int i = 0; i < 50; ++i) broker.step();  // shards get their messages by and by
    broker.settle();
    ASSERT_FALSE(publisher.has_received()) << "returned, seed " << seed;
  }
}

}  // namespace
}  // namespace warren::test
