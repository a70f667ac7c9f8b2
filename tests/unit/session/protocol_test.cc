// SPDX-License-Identifier: Apache-2.0
// Bad and odd input: the right close code, and nothing else disturbed (P1, P2, P3, P7).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/sim_client.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

std::string frame(std::uint8_t type, std::uint16_t channel, Bytes payload) {
  std::string out;
  append_frame_prefix(out, type, channel, static_cast<std::uint32_t>(payload.size()));
  out.append(payload);
  out.push_back(static_cast<char>(kFrameEnd));
  return out;
}

class ProtocolTest : public ::testing::Test {
 protected:
  SimBroker broker_;
};

TEST_F(ProtocolTest, WrongHeaderIsAnsweredWithOurs) {
  for (const Bytes hello : {Bytes("GET / HTTP/1.1\r\n"), Bytes("\x16\x03\x01\x02\x00"),
                            Bytes("AMQP\x00\x01\x00\x00", 8)}) {
    SimClient& client = broker_.connect_raw();
    client.send_bytes(hello);
    broker_.settle();
    EXPECT_EQ(client.raw_output(), kProtocolHeader);
    EXPECT_TRUE(client.closed_by_server());
  }
}

TEST_F(ProtocolTest, HandshakeTimesOut) {
  SimClient& client = broker_.connect_raw();
  client.send_bytes("AMQP");
  broker_.advance(std::chrono::seconds(9));
  EXPECT_FALSE(client.closed_by_server());
  broker_.advance(std::chrono::seconds(2));
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(ProtocolTest, SilentPeerIsDroppedAfterTwoHeartbeats) {
  SimClient& client = broker_.connect();
  for (int i = 0; i < 119; ++i) broker_.advance(std::chrono::seconds(1));
  EXPECT_FALSE(client.closed_by_server());
  for (int i = 0; i < 4; ++i) broker_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(client.closed_by_server());
}

struct Case {
  const char* name;
  std::string bytes;
  int code;
  const char* text;
};

// Each on a fresh connection with channel 1 open: the connection closes with this code.
TEST_F(ProtocolTest, ConnectionErrors) {
  std::string publish;
  encode_method(publish, BasicPublish{.exchange = "", .routing_key = "q"});
  std::string header;
  append_header_frame(header, 1, kClassBasic, 3, std::string_view("\0\0", 2));
  std::string wrong_class;
  append_header_frame(wrong_class, 1, kClassQueue, 3, std::string_view("\0\0", 2));
  const std::string publish_frame = frame(kFrameMethod, 1, publish);
  const auto method = [](std::uint16_t channel, const auto& m) {
    std::string out;
    append_method_frame(out, channel, m);
    return out;
  };
  std::string bad_end = frame(kFrameMethod, 1, publish);
  bad_end.back() = 'x';
  const Case cases[] = {
      {"unknown frame type", frame(5, 1, "abc"), 501, "FRAME_ERROR"},
      {"bad end octet", bad_end, 501, "FRAME_ERROR"},
      {"oversize frame", std::string("\x01\x00\x01\x7f\xff\xff\xff", 7), 501, "FRAME_ERROR"},
      {"unknown method", frame(kFrameMethod, 1, std::string_view("\0\x3c\0\xf0", 4)), 503,
       "COMMAND_INVALID"},
      {"truncated method", frame(kFrameMethod, 1, publish.substr(0, 6)), 502, "SYNTAX_ERROR"},
      {"header without method", header, 505, "UNEXPECTED_FRAME"},
      {"body without header", publish_frame + frame(kFrameBody, 1, "abc"), 505, "UNEXPECTED_FRAME"},
      {"method instead of body", publish_frame + header + publish_frame, 505, "UNEXPECTED_FRAME"},
      {"wrong class in header", publish_frame + wrong_class, 505, "UNEXPECTED_FRAME"},
      {"body longer than announced", publish_frame + header + frame(kFrameBody, 1, "abcdef"), 505,
       "UNEXPECTED_FRAME"},
      {"heartbeat on a channel", frame(kFrameHeartbeat, 1, ""), 505, "UNEXPECTED_FRAME"},
      {"channel not open", method(7, BasicAck{.delivery_tag = 1}), 504, "expected 'channel.open'"},
      {"channel opened twice", method(1, ChannelOpen{}), 504, "CHANNEL_ERROR"},
      {"channel above channel_max", method(5000, ChannelOpen{}), 530, "channel_max"},
      {"immediate", method(1, BasicPublish{.immediate = true}), 540, "NOT_IMPLEMENTED"},
      {"prefetch size", method(1, BasicQos{.prefetch_size = 1}), 540, "NOT_IMPLEMENTED"},
      {"recover without requeue", method(1, BasicRecover{}), 540, "NOT_IMPLEMENTED"},
      {"flow off", method(1, ChannelFlow{.active = false}), 540, "NOT_IMPLEMENTED"},
      {"a server's method", method(1, QueueDeclareOk{.queue = "q"}), 503, "COMMAND_INVALID"},
  };
  SimClient& bystander = broker_.connect();
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    SimClient& client = broker_.connect();
    client.send_bytes(one.bytes);
    broker_.settle();
    client.expect_connection_close(one.code, one.text);
    bystander.call(1, QueueDeclare{.queue = "q"});
    bystander.expect<QueueDeclareOk>(1);
  }
}

// Each on a fresh channel: the channel closes with this code, the connection goes on.
TEST_F(ProtocolTest, ChannelErrors) {
  SimClient& client = broker_.connect();
  SimClient& owner = broker_.connect();
  owner.call(1, QueueDeclare{.queue = "q", .durable = true});
  owner.expect<QueueDeclareOk>(1);
  const auto check = [&](const char* name, const auto& method, int code, const char* text) {
    SCOPED_TRACE(name);
    client.call(1, method);
    client.expect_channel_close(1, code, text);
    client.call(1, ChannelCloseOk{});
    client.open_channel(1);
  };
  check("no last queue", QueueBind{.exchange = "amq.direct"}, 404, "no previously declared queue");
  check("passive queue", QueueDeclare{.queue = "nope", .passive = true}, 404,
        "NOT_FOUND - no queue 'nope' in vhost '/'");
  check("passive exchange", ExchangeDeclare{.exchange = "nope", .type = "direct", .passive = true},
        404, "NOT_FOUND - no exchange 'nope' in vhost '/'");
  check("reserved queue name", QueueDeclare{.queue = "amq.mine"}, 403, "reserved prefix 'amq.*'");
  check("reserved exchange name", ExchangeDeclare{.exchange = "amq.mine", .type = "direct"}, 403,
        "reserved prefix 'amq.*'");
  check("default exchange", ExchangeDeclare{.exchange = "", .type = "direct"}, 403,
        "default exchange");
  check("delete amq.*", ExchangeDelete{.exchange = "amq.topic"}, 403, "ACCESS_REFUSED");
  check("bind to the default exchange", QueueBind{.queue = "q"}, 403, "default exchange");
  check("bind a missing queue", QueueBind{.queue = "nope", .exchange = "amq.topic"}, 404, "nope");
  check("bind a missing exchange", QueueBind{.queue = "q", .exchange = "nope"}, 404, "nope");
  check("unknown type", ExchangeDeclare{.exchange = "e", .type = "x-what"}, 406,
        "unknown exchange type 'x-what'");
  check("consume a missing queue", BasicConsume{.queue = "nope"}, 404, "nope");
  check("get from a missing queue", BasicGet{.queue = "nope"}, 404, "nope");
  check("purge a missing queue", QueuePurge{.queue = "nope"}, 404, "nope");
  FieldTable bad_ttl;
  bad_ttl.set("x-message-ttl", "soon");
  std::string encoded;
  encode_table(encoded, bad_ttl);
  check("bad argument", QueueDeclare{.queue = "new", .arguments = encoded}, 406,
        "invalid arg 'x-message-ttl' for queue 'new' in vhost '/'");
  // What was refused was not created.
  check("nothing was made", QueueDeclare{.queue = "new", .passive = true}, 404, "no queue 'new'");
}

TEST_F(ProtocolTest, PublishToAMissingExchangeClosesTheChannel) {
  SimClient& client = broker_.connect();
  client.publish(1, {.exchange = "nope", .routing_key = "k", .body = "m", .headers = {}});
  broker_.settle();
  client.expect_channel_close(1, 404, "no exchange 'nope' in vhost '/'");
}

TEST_F(ProtocolTest, TooLargeMessageClosesTheChannel) {
  SimOptions options;
  options.session_limits.message_bytes_max = 1000;
  SimBroker broker(options);
  SimClient& client = broker.connect();
  client.publish(
      1, {.exchange = {}, .routing_key = "k", .body = std::string(1001, 'x'), .headers = {}});
  broker.settle();
  client.expect_channel_close(1, 406, "message size 1001 is larger than configured max size 1000");
}

TEST_F(ProtocolTest, DuplicateConsumerTagClosesTheConnection) {
  SimClient& client = broker_.connect();
  client.call(1, QueueDeclare{.queue = "q"});
  client.expect<QueueDeclareOk>(1);
  client.call(1, BasicConsume{.queue = "q", .consumer_tag = "c"});
  client.expect<BasicConsumeOk>(1);
  client.call(1, BasicConsume{.queue = "q", .consumer_tag = "c"});
  client.expect_connection_close(530, "attempt to reuse consumer tag 'c'");
}

TEST_F(ProtocolTest, ExclusiveConsumerKeepsOthersOut) {
  SimClient& client = broker_.connect();
  client.call(1, QueueDeclare{.queue = "q"});
  client.expect<QueueDeclareOk>(1);
  client.call(1, BasicConsume{.queue = "q", .consumer_tag = "c", .exclusive = true});
  client.expect<BasicConsumeOk>(1);
  SimClient& other = broker_.connect();
  other.call(1, BasicConsume{.queue = "q"});
  other.expect_channel_close(1, 403, "queue 'q' in vhost '/' in exclusive use");
}

TEST_F(ProtocolTest, NowaitAnswersNothingButErrors) {
  SimClient& client = broker_.connect();
  client.call(1, QueueDeclare{.queue = "q", .durable = true, .nowait = true});
  client.call(1,
              QueueBind{.queue = "q", .exchange = "amq.topic", .routing_key = "#", .nowait = true});
  client.call(1, BasicConsume{.queue = "q", .consumer_tag = "c", .nowait = true});
  client.call(1, BasicCancel{.consumer_tag = "c", .nowait = true});
  client.call(1, QueueDelete{.queue = "q", .nowait = true});
  client.expect_nothing();
  client.call(1, QueueDeclare{.queue = "q", .passive = true, .nowait = true});
  client.expect_channel_close(1, 404, "no queue 'q'");
}

// P7: a frame at a time, a byte at a time, all at once: the same conversation.
TEST_F(ProtocolTest, InputMayComeInAnyPieces) {
  SimClient& client = broker_.connect();
  client.call(1, QueueDeclare{.queue = "q"});
  client.expect<QueueDeclareOk>(1);
  std::string bytes;
  append_method_frame(bytes, 1, BasicPublish{.routing_key = "q"});
  append_header_frame(bytes, 1, kClassBasic, 5, std::string_view("\0\0", 2));
  append_body_frames(bytes, 1, "hello", 0);
  for (const char byte : bytes) {
    client.send_bytes(Bytes(&byte, 1));
    broker_.settle();
  }
  client.call(1, BasicGet{.queue = "q"});
  EXPECT_EQ(client.expect<BasicGetOk>(1).body, "hello");
}

TEST_F(ProtocolTest, WrongPasswordAndUnknownMechanism) {
  for (const bool mechanism : {false, true}) {
    SimClient& client = broker_.connect_raw();
    client.send_bytes(kProtocolHeader);
    broker_.settle();
    client.expect<ConnectionStart>(0);
    FieldTable capabilities;
    capabilities.set("authentication_failure_close", true);
    FieldTable properties;
    properties.set("capabilities", capabilities);
    std::string encoded;
    encode_table(encoded, properties);
    ConnectionStartOk start_ok;
    start_ok.client_properties = encoded;
    start_ok.mechanism = mechanism ? "plain" : "PLAIN";
    start_ok.response = std::string_view("\0guest\0wrong", 12);
    client.call(0, start_ok);
    if (mechanism) {
      client.expect_connection_close(503, "unknown authentication mechanism");
    } else {
      client.expect_connection_close(403, "Login was refused using authentication mechanism PLAIN");
    }
  }
}

TEST_F(ProtocolTest, TuneOutsideTheOfferIsRefused) {
  struct Tune {
    std::uint16_t channel_max;
    std::uint32_t frame_max;
  };
  for (const Tune& tune : {Tune{2047, 1024}, Tune{2047, 0}, Tune{2047, 200'000}, Tune{0, 131'072},
                           Tune{3000, 131'072}}) {
    SimClient& client = broker_.connect_raw();
    client.send_bytes(kProtocolHeader);
    broker_.settle();
    client.expect<ConnectionStart>(0);
    ConnectionStartOk start_ok;
    start_ok.mechanism = "PLAIN";
    start_ok.response = std::string_view("\0guest\0guest", 12);
    client.call(0, start_ok);
    client.expect<ConnectionTune>(0);
    client.call(0, ConnectionTuneOk{.channel_max = tune.channel_max, .frame_max = tune.frame_max});
    client.expect_connection_close(530, "allowed value");
  }
}

}  // namespace
}  // namespace warren::test
