// SPDX-License-Identifier: Apache-2.0
// Exchanges as clients declare, bind and use them: the types that choose, alternates, and who may
// do what (docs/compatibility.md, exchange types; conformance rules 13 to 16, 26 to 32).
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class Exchanges : public SimCase {
 protected:
  static void reopen(SimClient& client) {
    client.send(1, ChannelCloseOk{});
    client.call(1, ChannelOpen{});
    client.expect<ChannelOpenOk>(1);
  }
  void expect_refused(const std::string& type, const FieldTable& arguments, const char* text) {
    SimClient& client = near();
    declare_exchange(client, "refused", type, arguments);
    client.expect_channel_close(1, 406, text);
  }
  void permit(const std::string& write, const std::string& read) {
    for (ShardIndex shard = 0; shard < GetParam().shards; ++shard) {
      broker_.shard(shard).on_access_changed(
          {storage::DefinitionChange::Kind::put,
           storage::PermissionDefinition{"guest", "/", ".*", write, read}});
    }
  }
  static void exchange_bind(SimClient& client, const std::string& source,
                            const std::string& destination) {
    ExchangeBind bind;
    bind.source = source;
    bind.destination = destination;
    client.call(1, bind);
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, Exchanges, all_shapes(), shape_name);

TEST_P(Exchanges, ConsistentHashIsOneChoiceOnAllShardsAndAfterARestart) {
  SimClient& client = near();
  SimClient& other = far();
  exchange(client, "h", "x-consistent-hash");
  for (int i = 0; i < 5; ++i) declare(i % 2 == 0 ? client : other, fmt::format("q{}", i));
  for (const int i : {3, 0, 4, 2, 1}) bind(client, fmt::format("q{}", i), "h", "10");
  const auto send_all = [this](SimClient& from) {
    for (int i = 0; i < 100; ++i) {
      publish(from, {.exchange = "h", .routing_key = fmt::format("k{}", i), .body = "m"});
    }
  };
  send_all(client);
  std::vector<std::uint32_t> once;
  for (int i = 0; i < 5; ++i) once.push_back(depth(client, fmt::format("q{}", i)));
  EXPECT_EQ(once[0] + once[1] + once[2] + once[3] + once[4], 100U);
  send_all(other);
  for (int i = 0; i < 5; ++i) {
    EXPECT_GT(once[i], 5U);
    EXPECT_EQ(depth(client, fmt::format("q{}", i)), 2 * once[i]);
  }
  broker_.stop();
  broker_.start();
  SimClient& again = far();
  send_all(again);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(depth(again, fmt::format("q{}", i)), 3 * once[i]);
}

// Same routing key, another property: the way of the message before is not taken.
TEST_P(Exchanges, HashOfAPropertyIsLookedAtEachTime) {
  SimClient& client = near();
  exchange(client, "h", "x-consistent-hash", FieldTable().set("hash-property", "message_id"));
  for (const char* const queue : {"a", "b"}) {
    declare(client, queue);
    bind(client, queue, "h", "1");
  }
  for (int i = 0; i < 50; ++i) {
    publish(client, {.exchange = "h",
                     .routing_key = "same",
                     .body = "m",
                     .message_id = fmt::format("id{}", i)});
  }
  EXPECT_EQ(depth(client, "a") + depth(client, "b"), 50U);
  EXPECT_GT(depth(client, "a"), 10U);
  EXPECT_GT(depth(client, "b"), 10U);
}

// A dead message is a message like any other.
TEST_P(Exchanges, HashOfAPropertyOfADeadLetter) {
  SimClient& client = near();
  exchange(client, "h", "x-consistent-hash", FieldTable().set("hash-property", "message_id"));
  for (const char* const queue : {"a", "b"}) {
    declare(client, queue);
    bind(client, queue, "h", "1");
  }
  declare(client, "short", FieldTable().set("x-max-length", 0).set("x-dead-letter-exchange", "h"));
  for (int i = 0; i < 50; ++i) {
    publish(client, {.exchange = {},
                     .routing_key = "short",
                     .body = "m",
                     .message_id = fmt::format("id{}", i)});
  }
  EXPECT_EQ(depth(client, "a") + depth(client, "b"), 50U);
  EXPECT_GT(depth(client, "a"), 10U);
  EXPECT_GT(depth(client, "b"), 10U);
}

TEST_P(Exchanges, RandomTakesOneQueueEach) {
  SimClient& client = near();
  for (const char* const type : {"x-random", "x-local-random"}) {
    exchange(client, type, type);
    const std::string a = fmt::format("{} a", type);
    const std::string b = fmt::format("{} b", type);
    for (const std::string& queue : {a, b}) {
      declare(client, queue);
      bind(client, queue, type, "");
    }
    for (int i = 0; i < 50; ++i) {
      publish(client, {.exchange = type, .routing_key = "same", .body = "m"});
    }
    EXPECT_EQ(depth(client, a) + depth(client, b), 50U);
    EXPECT_GT(depth(client, a), 10U);
    EXPECT_GT(depth(client, b), 10U);
  }
  send_bind(client, "x-random a", "x-local-random", "key");
  client.expect_channel_close(1, 406, "Non empty binding 'key' key not permitted");
}

TEST_P(Exchanges, BadWeightsAreRefused) {
  SimClient& client = near();
  declare(client, "q");
  exchange(client, "h", "x-consistent-hash");
  for (const char* const key : {"", "text", "0", "-3"}) {
    send_bind(client, "q", "h", key);
    client.expect_channel_close(1, 406, "The binding key must be");
    reopen(client);
  }
  publish(client, {.exchange = "h", .routing_key = "k", .body = "m", .mandatory = true});
  client.expect<BasicReturn>(1);
}

TEST_P(Exchanges, WrongArgumentsAreRefused) {
  for (const char* const name : {"alternate-exchange", "x-alternate-exchange"}) {
    expect_refused("direct", FieldTable().set(name, 5),
                   "' for exchange 'refused' in vhost '/': unacceptable type signedint");
  }
  expect_refused("x-consistent-hash", FieldTable().set("hash-header", 1), "'hash-header'");
  expect_refused("x-consistent-hash", FieldTable().set("hash-property", true), "'hash-property'");
  expect_refused("x-consistent-hash", FieldTable().set("x-hash-on", 1.5), "'x-hash-on'");
  expect_refused("x-consistent-hash", FieldTable().set("x-algorithm", "best"),
                 "'x-algorithm' for exchange 'refused' in vhost '/': unsupported value 'best'");
  expect_refused("x-consistent-hash", FieldTable().set("hash-property", "app_id"),
                 "Unsupported property: app_id");
  expect_refused("x-consistent-hash",
                 FieldTable().set("hash-property", "message_id").set("hash-header", "h"),
                 "mutually exclusive");
  // Of no interest to another type.
  exchange(near(), "fine", "fanout", FieldTable().set("hash-property", 5));
}

TEST_P(Exchanges, AlternateTakesWhatNothingMatched) {
  for (const char* const name : {"alternate-exchange", "x-alternate-exchange"}) {
    SimClient& client = near();
    const std::string prefix = name;
    exchange(client, prefix + "last", "fanout");
    exchange(client, prefix + "middle", "direct", FieldTable().set(name, prefix + "last"));
    exchange(client, prefix + "first", "direct", FieldTable().set(name, prefix + "middle"));
    for (const char* const queue : {"own", "rest"}) declare(client, prefix + queue);
    bind(client, prefix + "own", prefix + "first", "k");
    bind(client, prefix + "rest", prefix + "last", "");
    publish(client,
            {.exchange = prefix + "first", .routing_key = "k", .body = "1", .mandatory = true});
    publish(client,
            {.exchange = prefix + "first", .routing_key = "x", .body = "2", .mandatory = true});
    client.expect_nothing();
    EXPECT_EQ(depth(client, prefix + "own"), 1U);
    EXPECT_EQ(depth(client, prefix + "rest"), 1U);
    // It is part of what must agree.
    declare_exchange(client, prefix + "first", "direct");
    client.expect_channel_close(1, 406, fmt::format("inequivalent arg '{}'", name));
  }
}

TEST_P(Exchanges, AlternateThatLoopsOrIsMissingEnds) {
  SimClient& client = near();
  exchange(client, "a", "direct", FieldTable().set("alternate-exchange", "b"));
  exchange(client, "b", "direct", FieldTable().set("alternate-exchange", "a"));
  exchange(client, "c", "direct", FieldTable().set("alternate-exchange", "nothing"));
  for (const char* const name : {"a", "c"}) {
    publish(client, {.exchange = name, .routing_key = "x", .body = "m", .mandatory = true});
    EXPECT_EQ(client.expect<BasicReturn>(1).body, "m");
  }
}

TEST_P(Exchanges, AlternateNeedsReadOnItsExchangeAndWriteOnItself) {
  const FieldTable plain = FieldTable().set("alternate-exchange", "ae");
  const FieldTable alias = FieldTable().set("x-alternate-exchange", "ae");
  for (const FieldTable& arguments : {plain, alias}) {
    SimClient& client = near();
    permit("^ae$", "^other$");
    declare_exchange(client, "x", "direct", arguments);
    client.expect_channel_close(1, 403, "access to 'x' in vhost '/' refused");
    reopen(client);
    permit("^other$", "^x$");
    declare_exchange(client, "x", "direct", arguments);
    client.expect_channel_close(1, 403, "access to 'ae' in vhost '/' refused");
    reopen(client);
    permit("^ae$", "^x$");
    exchange(client, "x", "direct", arguments);
    client.call(1, ExchangeDelete{.exchange = "x"});
    client.expect<ExchangeDeleteOk>(1);
  }
}

TEST_P(Exchanges, BindingNeedsWriteOnTheDestinationAndReadOnTheSource) {
  SimClient& client = near();
  exchange(client, "source", "fanout");
  exchange(client, "target", "fanout");
  declare(client, "target queue");
  const auto bind_both = [&](const char* refused) {
    exchange_bind(client, "source", "target");
    client.expect_channel_close(1, 403, refused);
    reopen(client);
    send_bind(client, "target queue", "source", "");
    client.expect_channel_close(1, 403, refused);
    reopen(client);
  };
  permit("^source$", ".*");
  bind_both("access to 'target");
  permit(".*", "^target");
  bind_both("access to 'source'");
  permit("^target", "^source$");
  exchange_bind(client, "source", "target");
  client.expect<ExchangeBindOk>(1);
  bind(client, "target queue", "source", "");
  // Taking it away asks for the same.
  permit("^source$", ".*");
  ExchangeUnbind unbind;
  unbind.source = "source";
  unbind.destination = "target";
  client.call(1, unbind);
  client.expect_channel_close(1, 403, "access to 'target'");
}

TEST_P(Exchanges, BadMatchOfAHeadersBindingIsRefused) {
  SimClient& client = near();
  declare(client, "q");
  send_bind(client, "q", "amq.headers", "", FieldTable().set("x-match", "some"));
  client.expect_channel_close(1, 406, "Invalid x-match field value \"some\"");
  reopen(client);
  send_bind(client, "q", "amq.match", "", FieldTable().set("x-match", 1));
  client.expect_channel_close(1, 406, "Invalid x-match field type signedint");
}

}  // namespace
}  // namespace warren::test
