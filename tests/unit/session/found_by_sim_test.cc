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

}  // namespace
}  // namespace warren::test
