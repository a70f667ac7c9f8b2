// SPDX-License-Identifier: Apache-2.0
// Publishers are held back by what they have under way, and a message to many queues counts for
// each of them (B14).
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/units.h"

#include "tests/unit/session/queue_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class Flow : public QueueCase {
 protected:
  static constexpr std::uint64_t kBacklog = 64_KiB;
  static constexpr int kQueues = 40;
  static constexpr int kMessages = 1000;

  Flow() : QueueCase(small_backlog()) {}

  static SimOptions small_backlog() {
    SimOptions options = SimCase::options();
    options.broker_limits.backlog_bytes = kBacklog;
    options.manual_commit = true;
    return options;
  }
  // Queues at `client`'s shard, bound to the fanout exchange "all".
  void bind_queues(SimClient& client, const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
      QueueDeclare declare;
      const std::string name = fmt::format("{}{}", prefix, i);
      declare.queue = name;
      declare.durable = true;
      client.call(1, declare);
      commit_all();
      client.expect<QueueDeclareOk>(1);
      QueueBind bind;
      bind.queue = name;
      bind.exchange = "all";
      client.call(1, bind);
      commit_all();
      client.expect<QueueBindOk>(1);
    }
  }
  void commit_all() {
    broker_.settle();
    while (broker_.commit()) broker_.settle();
  }
  // One input: all of the publishes.
  void publish_all(SimClient& client) {
    broker_.after_turn = [this] { most_ = std::max(most_, broker_.backlog()); };
    for (int i = 0; i < kMessages; ++i) {
      client.publish(1, {.exchange = "all", .routing_key = "k", .body = "m"});
    }
  }
  SimClient& publisher() {
    SimClient& client = near();
    client.call(1, ExchangeDeclare{.exchange = "all", .type = "fanout", .durable = true});
    commit_all();
    client.expect<ExchangeDeclareOk>(1);
    bind_queues(client, "near", kQueues / 2);
    bind_queues(far(), "far", kQueues / 2);
    return client;
  }
  // All of it is taken, a little at a time, and is in the queues.
  void expect_all_goes_through(SimClient& client) {
    const std::uint64_t all = client.written_bytes();
    for (int i = 0; i < kMessages && client.taken_bytes() < all; ++i) commit_all();
    EXPECT_EQ(client.taken_bytes(), all);
    commit_all();
    EXPECT_EQ(broker_.backlog(), 0U);
    EXPECT_LE(most_, kBacklog + kOfOneMessage);
    for (ShardIndex i = 0; i < GetParam().shards; ++i) {
      EXPECT_FALSE(broker_.shard(i).overloaded());
    }
  }

  static constexpr std::uint64_t kOfOneMessage = kQueues * 300;
  std::uint64_t most_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Shards, Flow, all_shapes(), shape_name);

TEST_P(Flow, AFanOutIsHeldBackWithinItsInput) {
  SimClient& client = publisher();
  const std::uint64_t before = client.written_bytes();
  publish_all(client);
  const std::uint64_t one = (client.written_bytes() - before) / kMessages;
  broker_.settle();
  // All of it lies there to be read.
  EXPECT_LT((client.taken_bytes() - before) / one, kMessages / 4U);
  EXPECT_TRUE(client.session().held_back());
  expect_all_goes_through(client);
}

// Dead letters wait until the disk is not behind any more. The shard sleeps meanwhile.
TEST_P(Flow, AnOverloadedShardComesToRest) {
  SimClient& client = near();
  client.call(1, ExchangeDeclare{.exchange = "all", .type = "fanout", .durable = true});
  commit_all();
  client.expect<ExchangeDeclareOk>(1);
  bind_queues(client, "near", kQueues);
  FieldTable arguments;
  arguments.set("x-dead-letter-exchange", "all");
  const std::string encoded = encode(arguments);
  QueueDeclare declare;
  declare.queue = "waiting";
  declare.arguments = encoded;
  client.call(1, declare);
  commit_all();
  client.expect<QueueDeclareOk>(1);
  SimClient& consumer = near();
  publish_all(client);
  BasicConsume consume;
  consume.queue = "waiting";
  consumer.send(1, consume);
  broker::BrokerShard& shard = broker_.shard(GetParam().near);
  for (int i = 0; i < 100; ++i) {
    client.move_bytes(client.unsent_bytes());
    shard.run_turn(broker_.clock().now());
    if (shard.overloaded()) consumer.move_bytes(consumer.unsent_bytes());
  }
  consumer.expect<BasicConsumeOk>(1);
  ASSERT_TRUE(shard.overloaded());
  EXPECT_FALSE(shard.has_work());
}

TEST_P(Flow, AHeldPublisherMayLeave) {
  SimClient& client = publisher();
  publish_all(client);
  broker_.settle();
  ASSERT_TRUE(client.session().held_back());
  broker_.disconnect(client);
  commit_all();
  EXPECT_EQ(broker_.backlog(), 0U);
  SimClient& other = far();
  publish_all(other);
  expect_all_goes_through(other);
}

TEST_P(Flow, AHeldPublisherGoesOnWhenItsQueuesAreDeleted) {
  SimClient& client = publisher();
  SimClient& other = far();
  publish_all(client);
  broker_.settle();
  ASSERT_TRUE(client.session().held_back());
  for (int i = 0; i < kQueues / 2; ++i) {
    for (const char* prefix : {"near", "far"}) {
      const std::string name = fmt::format("{}{}", prefix, i);
      QueueDelete remove;
      remove.queue = name;
      other.call(1, remove);
      commit_all();
      other.expect<QueueDeleteOk>(1);
    }
  }
  expect_all_goes_through(client);
}

TEST_P(Flow, AClosedConnectionIsNotHeldBack) {
  SimClient& client = publisher();
  publish_all(client);
  broker_.settle();
  ASSERT_TRUE(client.session().held_back());
  client.session().force_close(ReplyCode::connection_forced, "shutdown");
  EXPECT_FALSE(client.session().held_back());
  EXPECT_TRUE(client.session().wants_input());
}

TEST_P(Flow, ConfirmsOfAHeldPublisherComeInOrder) {
  SimClient& client = publisher();
  client.call(1, ConfirmSelect{});
  client.expect<ConfirmSelectOk>(1);
  publish_all(client);
  expect_all_goes_through(client);
  std::uint64_t next = 1;
  while (client.has_received()) {
    const Received received = client.expect<BasicAck>(1);
    const auto& ack = SimClient::as<BasicAck>(received);
    EXPECT_TRUE(ack.multiple ? ack.delivery_tag >= next : ack.delivery_tag == next);
    next = ack.delivery_tag + 1;
  }
  EXPECT_EQ(next, kMessages + 1U);
}

}  // namespace
}  // namespace warren::test
