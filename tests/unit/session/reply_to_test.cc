// SPDX-License-Identifier: Apache-2.0
// Direct reply-to (docs/compatibility.md; conformance rule 60).
#include "server/broker/reply_address.h"

#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

constexpr const char* kReplies = "amq.rabbitmq.reply-to";

class ReplyTo : public SimCase {
 protected:
  // What a worker finds in a request of this client, which consumes its replies already.
  std::string address_of(SimClient& requester, SimClient& worker) {
    publish(requester, {.exchange = {}, .routing_key = "rpc", .body = "ask", .reply_to = kReplies});
    const Received request = get(worker, "rpc");
    return std::string(properties(request).reply_to->value);
  }
  static void reply_consumer(SimClient& client, const std::string& tag = "replies") {
    consume(client, kReplies, tag);
  }
  static void reopen(SimClient& client) {
    client.send(1, ChannelCloseOk{});
    client.call(1, ChannelOpen{});
    client.expect<ChannelOpenOk>(1);
  }
  static void passive(SimClient& client, const std::string& queue) {
    QueueDeclare declare;
    declare.queue = queue;
    declare.passive = true;
    client.call(1, declare);
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, ReplyTo, all_shapes(), shape_name);

TEST_P(ReplyTo, CarriesTheReplyToItsRequesterOnly) {
  SimClient& requester = near();
  SimClient& bystander = near();
  SimClient& worker = far();
  declare(worker, "rpc");
  reply_consumer(requester, "mine");
  reply_consumer(bystander);
  const std::string address = address_of(requester, worker);
  EXPECT_TRUE(address.starts_with("amq.rabbitmq.reply-to.")) << address;
  for (int i = 1; i <= 2; ++i) {
    publish(worker, {.exchange = {},
                     .routing_key = address,
                     .body = fmt::format("answer {}", i),
                     .message_id = "id"});
    const Received reply = requester.expect<BasicDeliver>(1);
    const auto& deliver = SimClient::as<BasicDeliver>(reply);
    EXPECT_EQ(deliver.consumer_tag, "mine");
    EXPECT_EQ(deliver.delivery_tag, static_cast<std::uint64_t>(i));
    EXPECT_EQ(deliver.routing_key, address);
    EXPECT_EQ(deliver.exchange, "");
    EXPECT_FALSE(deliver.redelivered);
    EXPECT_EQ(reply.body, fmt::format("answer {}", i));
    EXPECT_EQ(properties(reply).message_id->value, "id");
  }
  requester.expect_nothing();
  bystander.expect_nothing();
}

TEST_P(ReplyTo, ConsumerMustNotAcknowledgeAndIsOnePerChannel) {
  SimClient& client = near();
  BasicConsume consume;
  consume.queue = kReplies;
  client.call(1, consume);
  client.expect_channel_close(1, 406, "reply consumer cannot acknowledge");
  reopen(client);
  reply_consumer(client);
  consume.no_ack = true;
  client.call(1, consume);
  client.expect_channel_close(1, 406, "reply consumer already set");
}

TEST_P(ReplyTo, TagsOfConsumersAreNotUsedTwice) {
  SimClient& client = near();
  declare(client, "q");
  reply_consumer(client, "c");
  BasicConsume consume;
  consume.queue = "q";
  consume.consumer_tag = "c";
  client.call(1, consume);
  client.expect_connection_close(530, "attempt to reuse consumer tag 'c'");
}

TEST_P(ReplyTo, RequestWithoutConsumerIsRefused) {
  SimClient& client = near();
  publish(client, {.exchange = {}, .routing_key = "rpc", .body = "ask", .reply_to = kReplies});
  client.expect_channel_close(1, 406, "fast reply consumer does not exist");
}

// Another reply_to is none of our business.
TEST_P(ReplyTo, OrdinaryReplyQueuesStayAsTheyAre) {
  SimClient& client = near();
  declare(client, "rpc");
  publish(client, {.exchange = {}, .routing_key = "rpc", .body = "ask", .reply_to = "mine"});
  EXPECT_EQ(properties(get(client, "rpc")).reply_to->value, "mine");
}

TEST_P(ReplyTo, CancelAndCloseEndIt) {
  SimClient& requester = near();
  SimClient& worker = far();
  declare(worker, "rpc");
  reply_consumer(requester);
  const std::string first = address_of(requester, worker);
  requester.call(1, BasicCancel{.consumer_tag = "replies"});
  requester.expect<BasicCancelOk>(1);
  publish(worker, {.exchange = {}, .routing_key = first, .body = "late"});
  requester.expect_nothing();

  reply_consumer(requester);
  const std::string second = address_of(requester, worker);
  EXPECT_NE(first, second);
  publish(worker, {.exchange = {}, .routing_key = first, .body = "late"});
  requester.expect_nothing();
  requester.call(1, ChannelClose{});
  requester.expect<ChannelCloseOk>(1);
  requester.call(1, ChannelOpen{});
  requester.expect<ChannelOpenOk>(1);
  reply_consumer(requester);
  publish(worker, {.exchange = {}, .routing_key = second, .body = "late"});
  requester.expect_nothing();
}

// Who was not told the address cannot make it up.
TEST_P(ReplyTo, ForgedAddressesReachNobody) {
  SimClient& requester = near();
  SimClient& forger = far();
  declare(forger, "rpc");
  reply_consumer(requester);
  const std::string address = address_of(requester, forger);
  ASSERT_GE(address.size(), 32U);
  std::string last_digit = address;
  last_digit.back() = last_digit.back() == '0' ? '1' : '0';
  const std::string cut = address.substr(0, address.size() - 32);
  std::vector<std::string> forged = {last_digit,
                                     cut,
                                     address + "0",
                                     address + ".0",
                                     std::string(kReplies) + ".",
                                     std::string(kReplies) + ".x.y.z",
                                     std::string(kReplies) + ".ffffffffffffffff.1.00",
                                     std::string(kReplies) + ".10000000000000000000.1.00"};
  for (const std::string& name : forged) {
    publish(forger, {.exchange = {}, .routing_key = name, .body = "forged", .mandatory = true});
    EXPECT_EQ(forger.expect<BasicReturn>(1).body, "forged") << name;
  }
  requester.expect_nothing();
}

TEST_P(ReplyTo, MandatoryIsReturnedWhenTheRequesterIsGone) {
  SimClient& requester = near();
  SimClient& worker = far();
  declare(worker, "rpc");
  reply_consumer(requester);
  const std::string address = address_of(requester, worker);
  confirm_mode(worker);
  const PublishOptions reply{
      .exchange = {}, .routing_key = address, .body = "answer", .mandatory = true};
  publish(worker, reply);
  EXPECT_EQ(SimClient::as<BasicAck>(worker.expect<BasicAck>(1)).delivery_tag, 1U);
  EXPECT_EQ(requester.next_delivery(), "1 - answer");
  broker_.disconnect(requester);
  // B6: the return goes out before the confirm.
  publish(worker, reply);
  const Received back = worker.expect<BasicReturn>(1);
  EXPECT_EQ(back.body, "answer");
  EXPECT_EQ(SimClient::as<BasicReturn>(back).reply_code, 312);
  EXPECT_EQ(SimClient::as<BasicReturn>(back).routing_key, address);
  EXPECT_EQ(SimClient::as<BasicAck>(worker.expect<BasicAck>(1)).delivery_tag, 2U);
  // Not mandatory: dropped and confirmed.
  publish(worker, {.exchange = {}, .routing_key = address, .body = "answer"});
  EXPECT_EQ(SimClient::as<BasicAck>(worker.expect<BasicAck>(1)).delivery_tag, 3U);
  worker.expect_nothing();
}

// Confirms keep their numbers when a mandatory reply waits between other publishes.
TEST_P(ReplyTo, ConfirmsOfMixedPublishesAllCome) {
  SimClient& requester = near();
  SimClient& worker = far();
  declare(worker, "rpc");
  reply_consumer(requester);
  const std::string address = address_of(requester, worker);
  confirm_mode(worker);
  for (int i = 0; i < 20; ++i) {
    worker.publish(1, {.exchange = {}, .routing_key = "rpc", .body = "m"});
    worker.publish(1, {.exchange = {}, .routing_key = address, .body = "r", .mandatory = true});
  }
  broker_.settle();
  std::uint64_t confirmed = 0;
  while (worker.has_received()) {
    const Received received = worker.take();
    const auto& ack = SimClient::as<BasicAck>(received);
    confirmed = ack.multiple ? std::max(confirmed, ack.delivery_tag) : confirmed + 1;
  }
  EXPECT_EQ(confirmed, 40U);
  EXPECT_EQ(depth(worker, "rpc"), 20U);
}

TEST_P(ReplyTo, DeclareTellsWhetherTheRequesterIsThere) {
  SimClient& requester = near();
  SimClient& worker = far();
  declare(worker, "rpc");
  passive(worker, kReplies);
  const Received plain = worker.expect<QueueDeclareOk>(1);
  EXPECT_EQ(SimClient::as<QueueDeclareOk>(plain).queue, kReplies);
  EXPECT_EQ(SimClient::as<QueueDeclareOk>(plain).message_count, 0U);
  EXPECT_EQ(SimClient::as<QueueDeclareOk>(plain).consumer_count, 1U);

  reply_consumer(requester);
  const std::string address = address_of(requester, worker);
  passive(worker, address);
  const Received there = worker.expect<QueueDeclareOk>(1);
  EXPECT_EQ(SimClient::as<QueueDeclareOk>(there).queue, address);
  EXPECT_EQ(SimClient::as<QueueDeclareOk>(there).message_count, 0U);
  EXPECT_EQ(SimClient::as<QueueDeclareOk>(there).consumer_count, 1U);
  requester.expect_nothing();

  broker_.disconnect(requester);
  passive(worker, address);
  worker.expect_channel_close(1, 404, "no queue 'amq.rabbitmq.reply-to.");
  reopen(worker);
  passive(worker, "amq.rabbitmq.reply-to.nonsense");
  worker.expect_channel_close(1, 404, "no queue 'amq.rabbitmq.reply-to.nonsense'");
}

TEST_P(ReplyTo, IsNoQueueForTheRest) {
  SimClient& client = near();
  send_bind(client, kReplies, "amq.direct", "k");
  client.expect_channel_close(1, 403, "direct reply-to");
  reopen(client);
  BasicGet get;
  get.queue = kReplies;
  client.call(1, get);
  client.expect_channel_close(1, 404, "no queue 'amq.rabbitmq.reply-to'");
}

// P6: a requester that does not read loses replies, the broker keeps its memory.
TEST_P(ReplyTo, RepliesToASlowReaderAreBounded) {
  SimClient& requester = near();
  SimClient& worker = far();
  declare(worker, "rpc");
  reply_consumer(requester);
  const std::string address = address_of(requester, worker);
  requester.stop_reading();
  confirm_mode(worker);
  const std::string body(1_MiB, 'x');
  for (int i = 0; i < 80; ++i) {
    publish(worker, {.exchange = {}, .routing_key = address, .body = body});
    worker.expect<BasicAck>(1);
  }
  EXPECT_LT(requester.session().output().size(), 70_MiB);
  requester.resume_reading();
  broker_.settle();
  EXPECT_GT(requester.received_count(), 60U);
  EXPECT_LT(requester.received_count(), 70U);
}

}  // namespace
}  // namespace warren::test
