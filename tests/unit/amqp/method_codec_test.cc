// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/method_codec.h"

#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/gen/any_method.gen.h"
#include "server/amqp/gen/constants.gen.h"

namespace warren::amqp {
namespace {

using namespace std::string_literals;

// A table with every kind of value in it, so that cuts fall inside all of them.
std::string sample_table() {
  FieldTable table;
  table.set("a", true).set("b", "text").set("c", FieldTable().set("d", 7));
  std::string content;
  encode_table(content, table);
  return content;
}

// Gives every field a value of its own.
struct Filler {
  const std::string& table_content;
  unsigned n = 1;

  void field(bool& bit) { bit = ++n % 3 != 0; }
  template <class T>
  requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) void field(T& value) {
    value = static_cast<T>(0x8182838485868788ULL * ++n);
  }
  void field(ShortString& string) { string = "short string"; }
  void field(LongString& string) { string = "a long string"; }
  void field(TableBytes& table) { table = table_content; }
};

template <class M>
void check_round_trip(const std::string& table_content) {
  SCOPED_TRACE(M::kName);
  M method;
  Filler filler{table_content};
  visit_fields(filler, method);
  std::string payload;
  encode_method(payload, method);
  EXPECT_EQ(payload.size(), method_size(method));

  AnyMethod decoded;
  ASSERT_EQ(decode_method(payload, decoded), MethodDecode::ok);
  ASSERT_TRUE(std::holds_alternative<M>(decoded));
  EXPECT_EQ(std::get<M>(decoded), method);
  EXPECT_EQ(method_name(M::kClassId, M::kMethodId), M::kName);
  EXPECT_EQ(method_has_content(M::kClassId, M::kMethodId), M::kHasContent);

  for (std::size_t size = 0; size < payload.size(); ++size) {
    EXPECT_EQ(decode_method(Bytes(payload).substr(0, size), decoded), MethodDecode::malformed)
        << "cut at " << size;
  }
  EXPECT_EQ(decode_method(payload + '\0', decoded), MethodDecode::malformed);

  std::string empty_payload;
  encode_method(empty_payload, M{});
  ASSERT_EQ(decode_method(empty_payload, decoded), MethodDecode::ok);
  EXPECT_EQ(std::get<M>(decoded), M{});
}

template <std::size_t... I>
void check_all(std::index_sequence<I...>) {
  const std::string table_content = sample_table();
  (check_round_trip<std::variant_alternative_t<I, AnyMethod>>(table_content), ...);
}

TEST(MethodCodec, EveryMethodRoundTripsAndEveryTruncationIsRejected) {
  check_all(std::make_index_sequence<std::variant_size_v<AnyMethod>>());
}

TEST(MethodCodec, SpeaksTheSixtyFourMethodsAndAccess) {
  EXPECT_EQ(std::variant_size_v<AnyMethod>, 66u);
}

TEST(MethodCodec, PublishHasTheBytesOfTheSpecification) {
  std::string payload;
  encode_method(payload, BasicPublish{.exchange = "ex", .routing_key = "key", .mandatory = true});
  EXPECT_EQ(payload,
            "\x00\x3C\x00\x28\x00\x00\x02"
            "ex\x03"
            "key\x01"s);
}

TEST(MethodCodec, BitsShareAnOctetFromTheLowest) {
  std::string payload;
  encode_method(payload, QueueDeclare{.queue = "q", .durable = true, .nowait = true});
  EXPECT_EQ(payload, "\x00\x32\x00\x0A\x00\x00\x01q\x12\x00\x00\x00\x00"s);
}

// Delivery tag, one bit, then strings: the bit octet ends where another domain begins.
TEST(MethodCodec, DeliverPutsTheBitBetweenTagAndExchange) {
  std::string payload;
  encode_method(payload, BasicDeliver{.consumer_tag = "c",
                                      .delivery_tag = 0x0102030405060708,
                                      .redelivered = true,
                                      .exchange = "",
                                      .routing_key = "q"});
  EXPECT_EQ(payload,
            "\x00\x3C\x00\x3C\x01"
            "c\x01\x02\x03\x04\x05\x06\x07\x08\x01\x00\x01q"s);
}

TEST(MethodCodec, UnusedBitsAreIgnored) {
  ConfirmSelect method;
  ASSERT_TRUE(decode_arguments("\xFF", method));
  EXPECT_TRUE(method.nowait);
  ASSERT_TRUE(decode_arguments("\xFE", method));
  EXPECT_FALSE(method.nowait);
}

TEST(MethodCodec, InvalidTableMakesTheMethodMalformed) {
  const std::string payload = "\x00\x32\x00\x0A\x00\x00\x01q\x00\x00\x00\x00\x03\x01k?"s;
  AnyMethod decoded;
  EXPECT_EQ(decode_method(payload, decoded), MethodDecode::malformed);
}

TEST(MethodCodec, UnknownIdsAreToldFromMalformedOnes) {
  AnyMethod decoded;
  EXPECT_EQ(decode_method("\x00\x3C\x00\x29"s, decoded), MethodDecode::unknown_method);
  EXPECT_EQ(decode_method("\x00\x3D\x00\x28"s, decoded), MethodDecode::unknown_method);
  EXPECT_EQ(decode_method("\x00\x3C\x00"s, decoded), MethodDecode::malformed);
  EXPECT_EQ(method_name(60, 41), "unknown");
  EXPECT_FALSE(method_has_content(60, 41));
}

TEST(MethodCodec, ShortStringOf255BytesFits) {
  const std::string longest(255, 'x');
  std::string payload;
  encode_method(payload, BasicCancelOk{.consumer_tag = longest});
  AnyMethod decoded;
  ASSERT_EQ(decode_method(payload, decoded), MethodDecode::ok);
  EXPECT_EQ(std::get<BasicCancelOk>(decoded).consumer_tag, longest);
}

TEST(MethodCodecDeathTest, LongerShortStringIsABugOfOurs) {
  const std::string too_long(256, 'x');
  std::string payload;
  EXPECT_DEATH(encode_method(payload, BasicCancelOk{.consumer_tag = too_long}),
               "kShortStringBytesMax");
}

TEST(Constants, ReplyCodesHaveTheirNames) {
  EXPECT_EQ(reply_code_name(ReplyCode::not_found), "NOT_FOUND");
  EXPECT_EQ(reply_code_name(ReplyCode::no_route), "NO_ROUTE");
  EXPECT_EQ(reply_code_name(ReplyCode::connection_forced), "CONNECTION_FORCED");
  EXPECT_EQ(static_cast<int>(ReplyCode::unexpected_frame), 505);
}

}  // namespace
}  // namespace warren::amqp
