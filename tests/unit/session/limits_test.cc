// SPDX-License-Identifier: Apache-2.0
// What an operator limits, and the lengths of names.
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class Limits : public SimCase {
 protected:
  Limits() : SimCase(limited()) {}

  static SimOptions limited() {
    SimOptions options = SimCase::options();
    options.broker_limits.queues_max = 3;
    options.session_limits.consumers_per_channel_max = 2;
    return options;
  }
  static void reopen(SimClient& client) {
    client.send(1, ChannelCloseOk{});
    client.call(1, ChannelOpen{});
    client.expect<ChannelOpenOk>(1);
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, Limits, all_shapes(), shape_name);

TEST_P(Limits, QueuesOfAVhost) {
  SimClient& client = near();
  SimClient& other = far();
  declare(client, "a");
  declare(other, "b");
  client.call(1, QueueDeclare{.exclusive = true});
  client.expect<QueueDeclareOk>(1);
  other.call(1, QueueDeclare{.queue = "more"});
  other.expect_channel_close(
      1, 406, "cannot declare queue 'more': queue limit in vhost '/' (3) is reached");
  reopen(other);
  declare(other, "a");  // is there already
  client.call(1, QueueDelete{.queue = "b"});
  client.expect<QueueDeleteOk>(1);
  declare(other, "more");
}

TEST_P(Limits, ConsumersOfAChannel) {
  SimClient& client = near();
  declare(client, "q");
  consume(client, "q", "1");
  consume(client, "amq.rabbitmq.reply-to", "2");
  client.call(2, ChannelOpen{});
  client.expect<ChannelOpenOk>(2);
  BasicConsume consume_more;
  consume_more.queue = "q";
  client.call(2, consume_more);
  client.expect<BasicConsumeOk>(2);
  client.call(1, BasicCancel{.consumer_tag = "1"});
  client.expect<BasicCancelOk>(1);
  consume(client, "q", "3");
  client.call(1, consume_more);
  client.expect_connection_close(530, "reached maximum (2) of consumers per channel");
}

// A routing key on the wire has at most 255 bytes, an argument may be longer.
TEST_P(Limits, NamesInArgumentsAreNoLongerThanNames) {
  SimClient& client = near();
  const std::string longest(255, 'x');
  for (const char* const name : {"x-dead-letter-exchange", "x-dead-letter-routing-key"}) {
    FieldTable arguments;
    arguments.set("x-dead-letter-exchange", "").set(name, longest + "x");
    const std::string bytes = encode(arguments);
    QueueDeclare refused;
    refused.queue = "q";
    refused.arguments = bytes;
    client.call(1, refused);
    client.expect_channel_close(
        1, 406, fmt::format("invalid arg '{}' for queue 'q' in vhost '/': longer than 255", name));
    reopen(client);
  }
  declare(client, "q",
          FieldTable()
              .set("x-dead-letter-exchange", "amq.fanout")
              .set("x-dead-letter-routing-key", longest)
              .set("x-max-length", 0));
  declare(client, "dead");
  bind(client, "dead", "amq.fanout", "");
  publish(client, {.exchange = {}, .routing_key = "q", .body = "m"});
  EXPECT_EQ(SimClient::as<BasicGetOk>(get(client, "dead")).routing_key, longest);
  declare_exchange(client, "e", "direct", FieldTable().set("alternate-exchange", longest + "x"));
  client.expect_channel_close(1, 406, "longer than 255 bytes");
}

// Extra keys may be longer than any queue's name: they reach none.
TEST_P(Limits, ExtraKeysOfAnyLengthAreHarmless) {
  SimClient& client = near();
  declare(client, "q");
  bind(client, "q", "amq.topic", "#");
  FieldArray keys;
  keys.emplace_back(std::string(100'000, '.'));
  const std::string headers = encode(FieldTable().set("CC", keys));
  publish(client, {.exchange = {}, .routing_key = "q", .body = "1", .headers = headers});
  publish(client, {.exchange = "amq.topic", .routing_key = "q", .body = "2", .headers = headers});
  EXPECT_EQ(depth(client, "q"), 2U);
}

}  // namespace
}  // namespace warren::test
