// SPDX-License-Identifier: Apache-2.0
// The AMQP conversation as a client sees it, on one shard and on three.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/sim_client.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

// Queues live on the shard of the connection that declares them: `far` makes every call cross
// shards.
struct Shape {
  unsigned shards;
  ShardIndex near;
  ShardIndex far;
};

class SessionTest : public ::testing::TestWithParam<Shape> {
 protected:
  SessionTest() : broker_(options()) {}

  static SimOptions options() {
    SimOptions options;
    options.shards = GetParam().shards;
    return options;
  }
  SimClient& near() { return broker_.connect(GetParam().near); }
  SimClient& far() { return broker_.connect(GetParam().far); }

  static void declare(SimClient& client, const std::string& name, bool durable = true) {
    QueueDeclare declare;
    declare.queue = name;
    declare.durable = durable;
    client.call(1, declare);
    client.expect<QueueDeclareOk>(1);
  }
  static void consume(SimClient& client, const std::string& queue, const std::string& tag = "c",
                      bool no_ack = false) {
    BasicConsume consume;
    consume.queue = queue;
    consume.consumer_tag = tag;
    consume.no_ack = no_ack;
    client.call(1, consume);
    client.expect<BasicConsumeOk>(1);
  }
  void publish(SimClient& client, const std::string& queue, const std::string& body) {
    client.publish(1, {.exchange = {}, .routing_key = queue, .body = body, .headers = {}});
    broker_.settle();
  }
  static void ack(SimClient& client, std::uint64_t tag, bool multiple = false) {
    client.call(1, BasicAck{.delivery_tag = tag, .multiple = multiple});
  }

  SimBroker broker_;
};

INSTANTIATE_TEST_SUITE_P(Shards, SessionTest,
                         ::testing::Values(Shape{1, 0, 0}, Shape{3, 0, 2}, Shape{3, 2, 1}),
                         [](const auto& info) {
                           return fmt::format("{}shards_{}to{}", info.param.shards, info.param.near,
                                              info.param.far);
                         });

TEST_P(SessionTest, DeliversWhatWasPublishedInOrder) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  for (int i = 0; i < 5; ++i) publish(publisher, "q", fmt::format("m{}", i));
  consume(consumer, "q");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(consumer.next_delivery(), fmt::format("{} - m{}", i + 1, i));
  }
  consumer.expect_nothing();
}

// B1, B4: what a vanished client held comes back in its place, flagged, to the others.
TEST_P(SessionTest, ADroppedSocketReturnsItsMessagesInOrder) {
  SimClient& publisher = near();
  SimClient& first = far();
  declare(publisher, "q");
  consume(first, "q");
  for (int i = 0; i < 4; ++i) publish(publisher, "q", fmt::format("m{}", i));
  for (int i = 0; i < 4; ++i) first.next_delivery();
  ack(first, 2);
  SimClient& second = far();
  consume(second, "q");
  publish(publisher, "q", "m4");  // round robin: its turn is the second's or the first's
  broker_.disconnect(first);
  broker_.settle();
  std::vector<std::string> bodies;
  while (second.has_received()) bodies.push_back(second.next_delivery().substr(2));
  std::sort(bodies.begin(), bodies.end(),
            [](const auto& a, const auto& b) { return a.back() < b.back(); });
  ASSERT_EQ(bodies.size(), 4U);
  EXPECT_EQ(bodies[0], "r m0");
  EXPECT_EQ(bodies[1], "r m2");
  EXPECT_EQ(bodies[2], "r m3");
}

// B1: a requeued message returns to its place.
TEST_P(SessionTest, NackWithRequeuePutsMessagesBackInPlace) {
  SimClient& client = near();
  declare(client, "q");
  for (int i = 0; i < 3; ++i) publish(client, "q", fmt::format("m{}", i));
  for (int i = 0; i < 3; ++i) {
    client.call(1, BasicGet{.queue = "q"});
    client.expect<BasicGetOk>(1);
  }
  client.call(1, BasicNack{.delivery_tag = 2, .requeue = true});
  client.call(1, BasicNack{.delivery_tag = 1, .requeue = true});
  consume(client, "q");
  EXPECT_EQ(client.next_delivery(), "4 r m0");
  EXPECT_EQ(client.next_delivery(), "5 r m1");
  client.expect_nothing();
}

// B3: never more unsettled deliveries than the prefetch allows.
TEST_P(SessionTest, PrefetchLimitsAConsumerUntilItAcks) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  consumer.call(1, BasicQos{.prefetch_count = 2});
  consumer.expect<BasicQosOk>(1);
  consume(consumer, "q");
  for (int i = 0; i < 5; ++i) publish(publisher, "q", fmt::format("m{}", i));
  EXPECT_EQ(consumer.received_count(), 2U);
  consumer.next_delivery();
  consumer.next_delivery();
  ack(consumer, 1);
  EXPECT_EQ(consumer.next_delivery(), "3 - m2");
  consumer.expect_nothing();
  ack(consumer, 3, true);
  EXPECT_EQ(consumer.next_delivery(), "4 - m3");
  EXPECT_EQ(consumer.next_delivery(), "5 - m4");
  consumer.expect_nothing();
}

// Rule 50: a global limit is shared by the channel's consumers and holds for live ones.
TEST_P(SessionTest, GlobalPrefetchIsSharedAndLive) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "a");
  declare(publisher, "b");
  consumer.call(1, BasicQos{.prefetch_count = 3, .global = true});
  consumer.expect<BasicQosOk>(1);
  consume(consumer, "a", "ca");
  consume(consumer, "b", "cb");
  for (int i = 0; i < 6; ++i) {
    publish(publisher, "a", fmt::format("a{}", i));
    publish(publisher, "b", fmt::format("b{}", i));
  }
  EXPECT_EQ(consumer.received_count(), 3U);
  while (consumer.has_received()) consumer.take();
  ack(consumer, 1);
  EXPECT_EQ(consumer.received_count(), 1U);
  while (consumer.has_received()) consumer.take();
  consumer.call(1, BasicQos{.prefetch_count = 0, .global = true});
  consumer.expect<BasicQosOk>(1);
  broker_.settle();
  EXPECT_EQ(consumer.received_count(), 8U);
}

TEST_P(SessionTest, TwoConsumersTakeTurns) {
  SimClient& publisher = near();
  SimClient& a = far();
  SimClient& b = near();
  declare(publisher, "q");
  consume(a, "q");
  consume(b, "q");
  for (int i = 0; i < 6; ++i) publish(publisher, "q", "m");
  EXPECT_EQ(a.received_count(), 3U);
  EXPECT_EQ(b.received_count(), 3U);
}

// S3: the confirm leaves after the commit that covers the message.
TEST(SessionCommit, ConfirmWaitsForTheCommit) {
  SimOptions options;
  options.manual_commit = true;
  SimBroker broker(options);
  // With manual commits the durable declare needs one, too.
  SimClient& client = broker.connect();
  QueueDeclare declare;
  declare.queue = "q";
  declare.durable = true;
  client.call(1, declare);
  client.expect_nothing();
  EXPECT_TRUE(broker.commit());
  broker.settle();
  client.expect<QueueDeclareOk>(1);
  client.call(1, ConfirmSelect{});
  client.expect<ConfirmSelectOk>(1);
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "m", .headers = {}});
  client.expect_nothing();
  EXPECT_TRUE(broker.commit());
  broker.settle();
  const Received ok = client.expect<BasicAck>(1);
  EXPECT_EQ(SimClient::as<BasicAck>(ok).delivery_tag, 1U);
}

// A message settled before its commit never touches the disk and is confirmed at once.
TEST(SessionCommit, SettledBeforeTheCommitIsConfirmedWithoutDisk) {
  SimOptions options;
  options.manual_commit = true;
  SimBroker broker(options);
  SimClient& client = broker.connect();
  client.call(1, QueueDeclare{.queue = "q", .durable = true});
  broker.commit();
  broker.settle();
  client.expect<QueueDeclareOk>(1);
  client.call(1, ConfirmSelect{});
  client.expect<ConfirmSelectOk>(1);
  client.call(1, BasicConsume{.queue = "q", .consumer_tag = "c", .no_ack = true});
  client.expect<BasicConsumeOk>(1);
  const std::size_t before = broker.disk().key_count(storage::Family::queue_log);
  // The first is handed over; the second gathers behind it and is consumed meanwhile.
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "m1", .headers = {}});
  broker.settle();
  client.publish(1, {.exchange = {}, .routing_key = "q", .body = "m2", .headers = {}});
  broker.settle();
  while (broker.commit()) broker.settle();
  EXPECT_EQ(broker.disk().key_count(storage::Family::queue_log), before);
  std::uint64_t acked = 0;
  while (client.has_received()) {
    const Received next = client.take();
    if (const auto* const ok = std::get_if<BasicAck>(&next.method)) acked = ok->delivery_tag;
  }
  EXPECT_EQ(acked, 2U);
}

TEST_P(SessionTest, ConfirmsCoalesceWithMultiple) {
  SimClient& client = far();
  SimClient& owner = near();
  declare(owner, "q");
  client.call(1, ConfirmSelect{});
  client.expect<ConfirmSelectOk>(1);
  for (int i = 0; i < 10; ++i) {
    client.publish(1, {.exchange = {}, .routing_key = "q", .body = "m", .headers = {}});
  }
  broker_.settle();
  const Received received = client.expect<BasicAck>(1);
  EXPECT_EQ(SimClient::as<BasicAck>(received).delivery_tag, 10U);
  EXPECT_TRUE(SimClient::as<BasicAck>(received).multiple);
  client.expect_nothing();
}

// B6: a mandatory publish that reaches nothing comes back before its confirm.
TEST_P(SessionTest, MandatoryReturnPrecedesTheConfirm) {
  SimClient& client = near();
  client.call(1, ConfirmSelect{});
  client.expect<ConfirmSelectOk>(1);
  client.publish(
      1, {.exchange = {}, .routing_key = "nowhere", .body = "m", .mandatory = true, .headers = {}});
  broker_.settle();
  const Received back = client.expect<BasicReturn>(1);
  EXPECT_EQ(SimClient::as<BasicReturn>(back).reply_code, 312);
  EXPECT_EQ(SimClient::as<BasicReturn>(back).reply_text, "NO_ROUTE");
  EXPECT_EQ(back.body, "m");
  client.expect<BasicAck>(1);
}

// P4 and conformance rule 43.
TEST_P(SessionTest, AckOfAnUnknownTagClosesTheChannel) {
  SimClient& client = near();
  ack(client, 99);
  client.expect_channel_close(1, 406, "PRECONDITION_FAILED - unknown delivery tag 99");
  // P1: nothing but close-ok is heard now; afterwards the number is free.
  client.call(1, BasicAck{.delivery_tag = 1});
  client.expect_nothing();
  client.call(1, ChannelCloseOk{});
  client.open_channel(1);
}

TEST_P(SessionTest, AckTwiceClosesTheChannel) {
  SimClient& client = near();
  declare(client, "q");
  publish(client, "q", "m");
  consume(client, "q");
  client.next_delivery();
  ack(client, 1);
  client.expect_nothing();
  ack(client, 1);
  client.expect_channel_close(1, 406, "unknown delivery tag 1");
}

TEST_P(SessionTest, AckOfANoAckDeliveryClosesTheChannel) {
  SimClient& client = near();
  declare(client, "q");
  publish(client, "q", "m");
  consume(client, "q", "c", true);
  EXPECT_EQ(client.next_delivery(), "1 - m");
  ack(client, 1);
  client.expect_channel_close(1, 406, "unknown delivery tag 1");
}

TEST_P(SessionTest, ExclusiveQueuesAreTheirOwnersOnlyAndDieWithIt) {
  SimClient& owner = near();
  SimClient& other = far();
  owner.call(1, QueueDeclare{.queue = "x", .exclusive = true});
  owner.expect<QueueDeclareOk>(1);
  other.call(1, QueueDeclare{.queue = "x", .passive = true});
  other.expect_channel_close(1, 405, "cannot obtain exclusive access to locked queue 'x'");
  owner.call(0, ConnectionClose{.reply_code = 200, .reply_text = "bye"});
  owner.expect<ConnectionCloseOk>(0);
  other.call(1, ChannelCloseOk{});
  other.open_channel(1);
  other.call(1, QueueDeclare{.queue = "x", .passive = true});
  other.expect_channel_close(1, 404, "no queue 'x' in vhost '/'");
}

TEST_P(SessionTest, AutoDeleteQueueGoesWithItsLastConsumer) {
  SimClient& client = near();
  SimClient& other = far();
  client.call(1, QueueDeclare{.queue = "t", .auto_delete = true});
  client.expect<QueueDeclareOk>(1);
  consume(client, "t", "a");
  consume(other, "t", "b");
  client.call(1, BasicCancel{.consumer_tag = "a"});
  client.expect<BasicCancelOk>(1);
  client.call(1, QueueDeclare{.queue = "t", .passive = true});
  client.expect<QueueDeclareOk>(1);
  other.call(1, BasicCancel{.consumer_tag = "b"});
  other.expect<BasicCancelOk>(1);
  client.call(1, QueueDeclare{.queue = "t", .passive = true});
  client.expect_channel_close(1, 404, "no queue 't'");
}

TEST_P(SessionTest, DeletingAQueueCancelsItsConsumers) {
  SimClient& owner = near();
  SimClient& consumer = far();
  declare(owner, "q");
  consume(consumer, "q", "mine");
  publish(owner, "q", "m");
  EXPECT_EQ(consumer.next_delivery(), "1 - m");
  owner.call(1, QueueDelete{.queue = "q"});
  const Received ok = owner.expect<QueueDeleteOk>(1);
  EXPECT_EQ(SimClient::as<QueueDeleteOk>(ok).message_count, 0U);
  const Received cancel = consumer.expect<BasicCancel>(1);
  EXPECT_EQ(SimClient::as<BasicCancel>(cancel).consumer_tag, "mine");
  ack(consumer, 1);  // of a message whose queue is gone: fine
  consumer.expect_nothing();
}

TEST_P(SessionTest, DeleteChecksIfUnusedAndIfEmpty) {
  SimClient& client = near();
  declare(client, "q");
  publish(client, "q", "m");
  client.call(1, QueueDelete{.queue = "q", .if_empty = true});
  client.expect_channel_close(1, 406, "queue 'q' in vhost '/' not empty");
  client.call(1, ChannelCloseOk{});
  client.open_channel(1);
  SimClient& consumer = far();
  consumer.call(1, BasicQos{.prefetch_count = 1});
  consumer.expect<BasicQosOk>(1);
  consume(consumer, "q");
  client.call(1, QueueDelete{.queue = "q", .if_unused = true});
  client.expect_channel_close(1, 406, "queue 'q' in vhost '/' in use");
}

TEST_P(SessionTest, RedeclareMustBeEquivalent) {
  SimClient& client = near();
  SimClient& other = far();
  declare(client, "q");
  other.call(1, QueueDeclare{.queue = "q", .durable = false});
  other.expect_channel_close(1, 406,
                             "inequivalent arg 'durable' for queue 'q' in vhost '/': received "
                             "'false' but current is 'true'");
}

TEST_P(SessionTest, PurgeRemovesReadyMessagesOnly) {
  SimClient& client = near();
  SimClient& other = far();
  declare(client, "q");
  for (int i = 0; i < 3; ++i) publish(client, "q", fmt::format("m{}", i));
  client.call(1, BasicGet{.queue = "q"});
  client.expect<BasicGetOk>(1);
  other.call(1, QueuePurge{.queue = "q"});
  const Received ok = other.expect<QueuePurgeOk>(1);
  EXPECT_EQ(SimClient::as<QueuePurgeOk>(ok).message_count, 2U);
  client.call(1, BasicNack{.delivery_tag = 1, .requeue = true});
  client.call(1, BasicGet{.queue = "q"});
  const Received again = client.expect<BasicGetOk>(1);
  EXPECT_EQ(again.body, "m0");
  EXPECT_TRUE(SimClient::as<BasicGetOk>(again).redelivered);
}

TEST_P(SessionTest, RecoverRedeliversWhatIsUnsettled) {
  SimClient& client = near();
  declare(client, "q");
  consume(client, "q");
  publish(client, "q", "a");
  publish(client, "q", "b");
  client.next_delivery();
  client.next_delivery();
  client.call(1, BasicRecover{.requeue = true});
  client.expect<BasicRecoverOk>(1);
  EXPECT_EQ(client.next_delivery(), "3 r a");
  EXPECT_EQ(client.next_delivery(), "4 r b");
}

TEST_P(SessionTest, OneCopyPerQueueHoweverManyBindingsMatch) {
  SimClient& client = near();
  declare(client, "q");
  for (const char* const key : {"a.*", "#", "a.b"}) {
    client.call(1, QueueBind{.queue = "q", .exchange = "amq.topic", .routing_key = key});
    client.expect<QueueBindOk>(1);
  }
  client.publish(1, {.exchange = "amq.topic", .routing_key = "a.b", .body = "m", .headers = {}});
  broker_.settle();
  consume(client, "q");
  EXPECT_EQ(client.next_delivery(), "1 - m");
  client.expect_nothing();
}

TEST_P(SessionTest, ExchangeToExchangeCyclesEnd) {
  SimClient& client = far();
  SimClient& owner = near();
  declare(owner, "q");
  for (const char* const name : {"one", "two"}) {
    client.call(1, ExchangeDeclare{.exchange = name, .type = "fanout"});
    client.expect<ExchangeDeclareOk>(1);
  }
  client.call(1, ExchangeBind{.destination = "two", .source = "one"});
  client.expect<ExchangeBindOk>(1);
  client.call(1, ExchangeBind{.destination = "one", .source = "two"});
  client.expect<ExchangeBindOk>(1);
  client.call(1, QueueBind{.queue = "q", .exchange = "two"});
  client.expect<QueueBindOk>(1);
  client.publish(1, {.exchange = "one", .routing_key = {}, .body = "m", .headers = {}});
  broker_.settle();
  consume(owner, "q");
  EXPECT_EQ(owner.next_delivery(), "1 - m");
  owner.expect_nothing();
}

TEST_P(SessionTest, LargeBodiesArriveWhole) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  std::string body;
  for (int i = 0; i < 600'000; ++i) body.push_back(static_cast<char>('a' + i % 26));
  publish(publisher, "q", body);
  consume(consumer, "q");
  const Received received = consumer.expect<BasicDeliver>(1);
  EXPECT_TRUE(received.body == body);
}

TEST_P(SessionTest, ASlowReaderStopsItsOwnDeliveriesOnly) {
  SimClient& publisher = near();
  SimClient& slow = far();
  declare(publisher, "s");
  consume(slow, "s", "c", true);
  slow.stop_reading();
  const std::string body(100'000, 'x');
  for (int i = 0; i < 40; ++i) publish(publisher, "s", body);
  // P6: output is bounded by the consumer's window.
  EXPECT_LT(slow.session().output().size(), broker::kConsumerWindowBytes + 2 * body.size());
  declare(publisher, "f");
  SimClient& fast = far();
  consume(fast, "f", "c", true);
  publish(publisher, "f", "m");
  EXPECT_EQ(fast.next_delivery(), "1 - m");
}

}  // namespace
}  // namespace warren::test
