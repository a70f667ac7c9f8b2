// SPDX-License-Identifier: Apache-2.0
// Exchanges that drop what they have seen (docs/compatibility.md, deduplication).
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class Deduplication : public SimCase {
 protected:
  // On one of many shards a name has its home on each of them.
  static constexpr const char* kNames[] = {"d1", "d2", "d3", "d4", "d5", "d6"};

  FieldTable arguments() { return FieldTable().set("x-message-deduplication", true); }
  static PublishOptions message(const std::string& exchange, const FieldValue& id,
                                const std::string& body = "m") {
    return {.exchange = exchange,
            .routing_key = "k",
            .body = body,
            .headers = encode(FieldTable().set("x-deduplication-header", id))};
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, Deduplication, all_shapes(), shape_name);

TEST_P(Deduplication, DropsWhatAnyConnectionHasSentBefore) {
  SimClient& client = near();
  SimClient& other = far();
  for (const char* const name : kNames) {
    exchange(client, name, "fanout", arguments());
    declare(other, name);
    bind(client, name, name, "");
    publish(client, message(name, "1", "a"));
    publish(other, message(name, "1", "b"));
    publish(client, message(name, "1", "c"));
    publish(other, message(name, "2", "d"));
    publish(client, {.exchange = name, .routing_key = "k", .body = "no id", .headers = {}});
    publish(client, {.exchange = name, .routing_key = "k", .body = "no id", .headers = {}});
    EXPECT_EQ(depth(client, name), 4U) << name;
    EXPECT_EQ(get(client, name).body, "a");
    EXPECT_EQ(get(client, name).body, "d");
  }
}

// Order and confirms: a publish that has to ask is overtaken by none behind it.
TEST_P(Deduplication, KeepsTheOrderAndConfirmsEachPublishOnce) {
  SimClient& client = near();
  confirm_mode(client);
  for (const char* const name : kNames) {
    exchange(client, name, "direct", arguments());
    declare(client, name);
    bind(client, name, name, "k");
  }
  constexpr int kMessages = 20;
  for (int i = 0; i < kMessages; ++i) {
    for (const char* const name : kNames) {
      client.publish(1, message(name, i / 2, fmt::format("{}", i)));
      client.publish(1, {.exchange = {}, .routing_key = name, .body = "direct"});
    }
  }
  broker_.settle();
  std::uint64_t confirmed = 0;
  while (client.has_received()) {
    const Received received = client.take();
    const auto& ack = SimClient::as<BasicAck>(received);
    confirmed = ack.multiple ? std::max(confirmed, ack.delivery_tag) : confirmed + 1;
  }
  EXPECT_EQ(confirmed, 2 * kMessages * std::size(kNames));
  for (const char* const name : kNames) {
    for (int i = 0; i < kMessages; ++i) {
      if (i % 2 == 0) {
        EXPECT_EQ(get(client, name).body, fmt::format("{}", i));
      }
      EXPECT_EQ(get(client, name).body, "direct");
    }
  }
}

// As LavinMQ: a duplicate reached no queue. It goes to no alternate either.
TEST_P(Deduplication, MandatoryDuplicatesAreReturned) {
  SimClient& client = near();
  confirm_mode(client);
  exchange(client, "ae", "fanout");
  declare(client, "rest");
  bind(client, "rest", "ae", "");
  for (const char* const name : kNames) {
    exchange(client, name, "direct", arguments().set("alternate-exchange", "ae"));
    declare(client, name);
    bind(client, name, name, "k");
    PublishOptions options = message(name, "1");
    options.mandatory = true;
    publish(client, options);
    client.expect<BasicAck>(1);
    publish(client, options);
    client.expect<BasicReturn>(1);
    client.expect<BasicAck>(1);
    EXPECT_EQ(depth(client, name), 1U);
  }
  EXPECT_EQ(depth(client, "rest"), 0U);
}

TEST_P(Deduplication, WhatReachedNobodyMayComeAgain) {
  SimClient& client = near();
  for (const char* const name : kNames) {
    exchange(client, name, "direct", arguments());
    declare(client, name);
    publish(client, message(name, "1"));
    bind(client, name, name, "k");
    publish(client, message(name, "1"));
    publish(client, message(name, "1"));
    EXPECT_EQ(depth(client, name), 1U);
  }
}

TEST_P(Deduplication, SizeAndTimeAreTheExchanges) {
  SimClient& client = near();
  for (const char* const name : kNames) {
    exchange(client, name, "fanout", arguments().set("x-cache-size", 2).set("x-cache-ttl", 60'000));
    declare(client, name);
    bind(client, name, name, "");
    for (const char* const id : {"1", "2", "3", "1", "3"}) publish(client, message(name, id));
    EXPECT_EQ(depth(client, name), 4U);  // 1 was forgotten, 3 was not
    broker_.advance(std::chrono::seconds(59));
    publish(client, message(name, "3"));
    EXPECT_EQ(depth(client, name), 4U);
    broker_.advance(std::chrono::seconds(2));
    publish(client, message(name, "3"));
    EXPECT_EQ(depth(client, name), 5U);
  }
}

TEST_P(Deduplication, ANewExchangeOfTheNameKnowsNothing) {
  SimClient& client = near();
  declare(client, "q");
  std::uint32_t expected = 0;
  for (const char* const name : kNames) {
    for (int round = 0; round < 2; ++round) {
      exchange(client, name, "fanout", arguments());
      bind(client, "q", name, "");
      publish(client, message(name, "1"));
      publish(client, message(name, "1"));
      EXPECT_EQ(depth(client, "q"), ++expected);
      client.call(1, ExchangeDelete{.exchange = name});
      client.expect<ExchangeDeleteOk>(1);
    }
  }
}

// A publish that was rolled back, or whose channel went, did not take place.
TEST_P(Deduplication, WhatWasNotCommittedMayComeAgain) {
  SimClient& client = near();
  SimClient& other = far();
  for (const char* const name : kNames) {
    exchange(client, name, "fanout", arguments());
    declare(other, name);
    bind(client, name, name, "");
  }
  client.call(1, TxSelect{});
  client.expect<TxSelectOk>(1);
  for (const char* const name : kNames) publish(client, message(name, "1"));
  client.call(1, TxRollback{});
  client.expect<TxRollbackOk>(1);
  for (const char* const name : kNames) publish(client, message(name, "1"));
  client.call(1, ChannelClose{});
  client.expect<ChannelCloseOk>(1);
  for (const char* const name : kNames) {
    publish(other, message(name, "1"));
    publish(other, message(name, "1"));
    EXPECT_EQ(depth(other, name), 1U);
  }
  // What was committed may not.
  client.call(1, ChannelOpen{});
  client.expect<ChannelOpenOk>(1);
  client.call(1, TxSelect{});
  client.expect<TxSelectOk>(1);
  for (const char* const name : kNames) publish(client, message(name, "2"));
  client.call(1, TxCommit{});
  client.expect<TxCommitOk>(1);
  client.call(1, TxRollback{});
  client.expect<TxRollbackOk>(1);
  for (const char* const name : kNames) {
    publish(other, message(name, "2"));
    EXPECT_EQ(depth(other, name), 2U);
  }
}

// A connection that is lost at any moment: either its message is there, or its id is free.
TEST(DeduplicationRace, LostConnectionLeavesNoIdWithoutItsMessage) {
  int published = 0;
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimOptions options;
    options.shards = 3;
    options.seed = seed;
    SimBroker broker(options);
    SimClient& client = broker.connect(1);
    SimClient& other = broker.connect(0);
    std::string arguments;
    encode_table(arguments, FieldTable().set("x-message-deduplication", true));
    std::string name;  // its home is neither's
    for (int i = 0; name.empty(); ++i) {
      const std::string candidate = fmt::format("d{}", i);
      if (broker.shard(1).dedup_home("/", candidate) == 2) name = candidate;
    }
    ExchangeDeclare declare;
    declare.exchange = name;
    declare.type = "fanout";
    declare.arguments = arguments;
    other.call(1, declare);
    other.call(1, QueueDeclare{.queue = "q"});
    other.call(1, QueueBind{.queue = "q", .exchange = name});
    while (other.has_received()) other.take();
    std::string headers;
    encode_table(headers, FieldTable().set("x-deduplication-header", "1"));
    const PublishOptions message{
        .exchange = name, .routing_key = "k", .body = "m", .headers = headers};
    const auto depth = [&] {
      other.call(1, QueueDeclare{.queue = "q", .passive = true});
      const Received answer = other.expect<QueueDeclareOk>(1);
      return SimClient::as<QueueDeclareOk>(answer).message_count;
    };
    client.publish(1, message);
    for (std::uint64_t i = 0; i < seed % 25; ++i) broker.step();
    broker.disconnect(client);
    broker.settle();
    ++(depth() == 1 ? published : lost);
    other.publish(1, message);
    broker.settle();
    EXPECT_EQ(depth(), 1U) << "seed " << seed;
  }
  EXPECT_GT(published, 10);
  EXPECT_GT(lost, 10);
}

// The exchange goes while a publish waits for its answer: in any order of events the message is in
// its queue or its channel is closed.
TEST(DeduplicationRace, ExchangeThatGoesMeanwhileIs404) {
  int delivered = 0;
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimOptions options;
    options.shards = 3;
    options.seed = seed;
    SimBroker broker(options);
    SimClient& client = broker.connect(1);
    SimClient& other = broker.connect(0);
    std::string arguments;
    encode_table(arguments, FieldTable().set("x-message-deduplication", true));
    std::string name;  // its home is neither's
    for (int i = 0; name.empty(); ++i) {
      const std::string candidate = fmt::format("d{}", i);
      if (broker.shard(1).dedup_home("/", candidate) == 2) name = candidate;
    }
    ExchangeDeclare declare;
    declare.exchange = name;
    declare.type = "fanout";
    declare.arguments = arguments;
    client.call(1, declare);
    client.call(1, QueueDeclare{.queue = "q"});
    client.call(1, QueueBind{.queue = "q", .exchange = name});
    while (client.has_received()) client.take();

    other.send(1, ExchangeDelete{.exchange = name});
    // The publish begins at any moment of the deletion.
    for (std::uint64_t i = 0; i < seed % 20; ++i) broker.step();
    std::string headers;
    encode_table(headers, FieldTable().set("x-deduplication-header", "1"));
    client.publish(1, {.exchange = name, .routing_key = "k", .body = "m", .headers = headers});
    for (int i = 0; i < 200; ++i) broker.step();
    broker.settle();
    other.expect<ExchangeDeleteOk>(1);
    if (client.has_received()) {
      client.expect_channel_close(1, 404, "no exchange");
      ++refused;
    } else {
      BasicGet get;
      get.queue = "q";
      client.call(1, get);
      client.expect<BasicGetOk>(1);
      ++delivered;
    }
  }
  EXPECT_GT(delivered, 10);
  EXPECT_GT(refused, 10);
}

TEST_P(Deduplication, AQueueDropsWhatItHasSeen) {
  SimClient& client = near();
  SimClient& other = far();
  declare(client, "q", arguments().set("x-cache-size", 2));
  const auto to_queue = [](const FieldValue& id, const std::string& body) {
    PublishOptions options = message("", id, body);
    options.routing_key = "q";
    return options;
  };
  confirm_mode(other);
  for (const char* body : {"a", "b", "c"}) {
    publish(other, to_queue("1", body));
    other.expect<BasicAck>(1);
  }
  publish(client, {.exchange = {}, .routing_key = "q", .body = "no id", .headers = {}});
  EXPECT_EQ(depth(client, "q"), 2U);
  EXPECT_EQ(get(client, "q").body, "a");
  publish(client, to_queue("1", "still known"));
  publish(client, to_queue("2", "d"));
  publish(client, to_queue("3", "e"));
  publish(client, to_queue("1", "forgotten by now"));
  EXPECT_EQ(depth(client, "q"), 4U);
}

TEST_P(Deduplication, AQueueForgetsAfterItsTime) {
  SimClient& client = near();
  declare(client, "q", arguments().set("x-cache-ttl", 1000));
  PublishOptions options = message("", 7);
  options.routing_key = "q";
  publish(client, options);
  broker_.advance(std::chrono::milliseconds(900));
  publish(client, options);
  EXPECT_EQ(depth(client, "q"), 1U);
  broker_.advance(std::chrono::milliseconds(101));
  broker_.settle();
  publish(client, options);
  EXPECT_EQ(depth(client, "q"), 2U);
}

TEST_P(Deduplication, BadArgumentsOfAQueueAreRefused) {
  SimClient& client = near();
  const std::string bytes = encode(FieldTable().set("x-message-deduplication", "yes"));
  QueueDeclare declare;
  declare.queue = "q";
  declare.durable = true;
  declare.arguments = bytes;
  client.call(1, declare);
  const Received close = client.expect<ChannelClose>(1);
  EXPECT_EQ(SimClient::as<ChannelClose>(close).reply_code, 406);
}

}  // namespace
}  // namespace warren::test
