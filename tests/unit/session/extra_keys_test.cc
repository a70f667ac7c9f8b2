// SPDX-License-Identifier: Apache-2.0
// CC and BCC: more routing keys in a message's headers (conformance rule 33).
#include "server/broker/extra_keys.h"

#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

FieldArray keys(std::initializer_list<const char*> names) {
  FieldArray array;
  for (const char* const name : names) array.emplace_back(name);
  return array;
}

class ExtraKeys : public SimCase {};

INSTANTIATE_TEST_SUITE_P(Shards, ExtraKeys, all_shapes(), shape_name);

TEST_P(ExtraKeys, CarbonCopiesReachTheQueuesOfTheDefaultExchangeOnce) {
  SimClient& client = near();
  SimClient& other = far();
  declare(client, "a");
  declare(other, "b");
  declare(client, "c");
  declare(other, "d");
  const std::string headers =
      encode(FieldTable().set("CC", keys({"b", "a", "b"})).set("BCC", keys({"c", "nothing"})));
  publish(client, {.exchange = {}, .routing_key = "a", .body = "m", .headers = headers});
  EXPECT_EQ(depth(client, "a"), 1U);
  EXPECT_EQ(depth(client, "b"), 1U);
  EXPECT_EQ(depth(client, "c"), 1U);
  EXPECT_EQ(depth(client, "d"), 0U);
}

TEST_P(ExtraKeys, WorkOnEveryExchangeThatLooksAtKeys) {
  SimClient& client = near();
  for (const char* const queue : {"one", "two", "all"}) declare(client, queue);
  bind(client, "one", "amq.direct", "k1");
  bind(client, "two", "amq.direct", "k2");
  bind(client, "one", "amq.topic", "x.*");
  bind(client, "two", "amq.topic", "y.#");
  bind(client, "all", "amq.topic", "#");
  bind(client, "all", "amq.fanout", "");
  const std::string direct = encode(FieldTable().set("CC", keys({"k2"})));
  publish(client, {.exchange = "amq.direct", .routing_key = "k1", .body = "m", .headers = direct});
  const std::string topic = encode(FieldTable().set("BCC", keys({"y.1.2"})));
  publish(client, {.exchange = "amq.topic", .routing_key = "x.1", .body = "m", .headers = topic});
  publish(client, {.exchange = "amq.fanout", .routing_key = "x", .body = "m", .headers = topic});
  EXPECT_EQ(depth(client, "one"), 2U);
  EXPECT_EQ(depth(client, "two"), 2U);
  EXPECT_EQ(depth(client, "all"), 2U);  // one of the topic exchange though two keys match
}

// The next message with the same key and no CC goes its own way only.
TEST_P(ExtraKeys, AreForgottenWithTheirMessage) {
  SimClient& client = near();
  declare(client, "a");
  declare(client, "b");
  const std::string headers = encode(FieldTable().set("CC", keys({"b"})));
  publish(client, {.exchange = {}, .routing_key = "a", .body = "1", .headers = {}});
  publish(client, {.exchange = {}, .routing_key = "a", .body = "2", .headers = headers});
  publish(client, {.exchange = {}, .routing_key = "a", .body = "3", .headers = {}});
  EXPECT_EQ(depth(client, "a"), 3U);
  EXPECT_EQ(depth(client, "b"), 1U);
}

TEST_P(ExtraKeys, BlindCopiesAreTakenOutOfTheMessageAndTheRestStays) {
  SimClient& client = near();
  declare(client, "a");
  declare(client, "b");
  FieldTable kept;
  kept.set("before", 1).set("CC", keys({"b"})).set("after", "x");
  FieldTable sent;
  sent.set("before", 1).set("BCC", keys({"b"})).set("CC", keys({"b"})).set("after", "x");
  const std::string body(300'000, 'x');  // several frames
  publish(client, {.exchange = {},
                   .routing_key = "a",
                   .body = body,
                   .headers = encode(sent),
                   .message_id = "id"});
  for (const char* const queue : {"a", "b"}) {
    const Received got = get(client, queue);
    EXPECT_EQ(got.body, body);
    const PropertiesView view = properties(got);
    ASSERT_TRUE(view.headers);
    EXPECT_EQ(view.headers->value, encode(kept));
    EXPECT_EQ(view.message_id->value, "id");
    EXPECT_EQ(view.delivery_mode, kDeliveryModePersistent);
  }
}

TEST_P(ExtraKeys, SatisfyMandatory) {
  SimClient& client = near();
  declare(client, "b");
  const std::string reached = encode(FieldTable().set("BCC", keys({"b"})));
  const std::string missed = encode(FieldTable().set("CC", keys({"nothing"})));
  publish(client, {.exchange = {},
                   .routing_key = "nothing",
                   .body = "1",
                   .mandatory = true,
                   .headers = reached});
  client.expect_nothing();
  publish(client, {.exchange = {},
                   .routing_key = "nothing",
                   .body = "2",
                   .mandatory = true,
                   .headers = missed});
  EXPECT_EQ(client.expect<BasicReturn>(1).body, "2");
}

TEST_P(ExtraKeys, OfAnotherTypeAreRefused) {
  struct Row {
    FieldValue value;
    const char* text;
  };
  const Row rows[] = {
      {"text", "must be an array of longstr, but is of type longstr"},
      {5, "is of type signedint"},
      {FieldArray{FieldValue("a"), FieldValue(5)}, "holds a signedint"},
  };
  for (const char* const name : {"CC", "BCC"}) {
    for (const Row& row : rows) {
      SimClient& client = near();
      const std::string headers = encode(FieldTable().set(name, row.value));
      publish(client, {.exchange = {}, .routing_key = "a", .body = "m", .headers = headers});
      client.expect_channel_close(
          1, 406, fmt::format("PRECONDITION_FAILED - invalid message: header '{}'", name));
      client.send(1, ChannelCloseOk{});
      client.call(1, ChannelOpen{});
      client.expect<ChannelOpenOk>(1);
      publish(client, {.exchange = {}, .routing_key = "a", .body = "m", .headers = headers});
      client.expect_channel_close(1, 406, row.text);
    }
  }
}

// Headers that name neither are not decoded, but for a value that looks like a name.
TEST(ExtraKeysScan, SeesWholeNamesOnly) {
  const auto scan = [](const FieldTable& table) {
    std::string bytes;
    encode_table(bytes, table);
    return broker::may_hold_extra_keys(bytes);
  };
  EXPECT_FALSE(scan(FieldTable().set("ACC", 1).set("CCC", 2).set("cc", 3).set("x", "CCBCC")));
  EXPECT_TRUE(scan(FieldTable().set("first", 1).set("CC", 1)));
  EXPECT_TRUE(scan(FieldTable().set("first", 1).set("BCC", 1)));
}

}  // namespace
}  // namespace warren::test
