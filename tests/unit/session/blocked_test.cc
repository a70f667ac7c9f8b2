// SPDX-License-Identifier: Apache-2.0
// Under the disk alarm publishers stand still and everybody else goes on (conformance rule 62).
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class Blocked : public SimCase {
 protected:
  void publish_to(SimClient& client, const char* body) {
    publish(client, {.exchange = {}, .routing_key = "q", .body = body});
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, Blocked, all_shapes(), shape_name);

TEST_P(Blocked, FirstPublishUnderTheAlarmIsTheLastThatIsRead) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  confirm_mode(publisher);
  publish_to(publisher, "before");
  publisher.expect<BasicAck>(1);
  broker_.set_disk_alarm(true);
  broker_.advance(std::chrono::seconds(1));
  publisher.expect_nothing();

  publisher.publish(1, {.exchange = {}, .routing_key = "q", .body = "first"});
  publisher.publish(1, {.exchange = {}, .routing_key = "q", .body = "second"});
  broker_.settle();
  const Received blocked = publisher.expect<ConnectionBlocked>(0);
  EXPECT_EQ(SimClient::as<ConnectionBlocked>(blocked).reason, "low on disk");
  publisher.expect<BasicAck>(1);
  publisher.expect_nothing();
  consume(consumer, "q");
  EXPECT_EQ(consumer.next_delivery(), "1 - before");
  EXPECT_EQ(consumer.next_delivery(), "2 - first");
  consumer.expect_nothing();

  broker_.set_disk_alarm(false);
  broker_.advance(std::chrono::seconds(1));
  publisher.expect<ConnectionUnblocked>(0);
  publisher.expect<BasicAck>(1);
  EXPECT_EQ(consumer.next_delivery(), "3 - second");
  publish_to(publisher, "after");
  publisher.expect<BasicAck>(1);
  publisher.expect_nothing();
  EXPECT_EQ(consumer.next_delivery(), "4 - after");
}

TEST_P(Blocked, NewConnectionsWorkUntilTheyPublish) {
  broker_.set_disk_alarm(true);
  SimClient& client = near();
  declare(client, "q");
  EXPECT_EQ(depth(client, "q"), 0U);
  client.expect_nothing();
  publish_to(client, "m");
  client.expect<ConnectionBlocked>(0);
  client.send(1, BasicQos{});
  client.expect_nothing();
}

TEST_P(Blocked, ClientsWithoutTheCapabilityAreHeldAndNotTold) {
  SimClient& client = broker_.connect_raw(GetParam().near);
  client.decline_blocked();
  client.handshake();
  client.open_channel(1);
  declare(client, "q");
  broker_.set_disk_alarm(true);
  publish_to(client, "1");
  publish_to(client, "2");
  client.expect_nothing();
  SimClient& other = far();
  EXPECT_EQ(depth(other, "q"), 1U);
  broker_.set_disk_alarm(false);
  broker_.advance(std::chrono::seconds(1));
  client.expect_nothing();
  EXPECT_EQ(depth(other, "q"), 2U);
}

// A peer that is not read is not missed: the driver says so at each tick.
TEST_P(Blocked, HeartbeatsAreNotExpectedMeanwhile) {
  SimClient& client = near();
  declare(client, "q");
  broker_.set_disk_alarm(true);
  publish_to(client, "1");
  client.expect<ConnectionBlocked>(0);
  for (int i = 0; i < 400; ++i) {
    EXPECT_FALSE(client.session().wants_input());
    client.session().on_input_held();
    broker_.advance(std::chrono::seconds(1));
  }
  client.expect_nothing();
  broker_.set_disk_alarm(false);
  broker_.advance(std::chrono::seconds(1));
  client.expect<ConnectionUnblocked>(0);
  EXPECT_EQ(depth(client, "q"), 1U);
}

TEST_P(Blocked, CanBeClosedByTheBroker) {
  SimClient& client = near();
  declare(client, "q");
  broker_.set_disk_alarm(true);
  publish_to(client, "1");
  client.expect<ConnectionBlocked>(0);
  client.session().force_close(ReplyCode::connection_forced, "shutdown");
  client.send(0, ConnectionCloseOk{});
  broker_.settle();
  client.expect_connection_close(320, "shutdown");
  EXPECT_TRUE(client.closed_by_server());
}

}  // namespace
}  // namespace warren::test
