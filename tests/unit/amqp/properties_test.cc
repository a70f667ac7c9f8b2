// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/properties.h"

#include <string>

#include <gtest/gtest.h>

namespace warren::amqp {
namespace {

using namespace std::string_literals;

PropertiesView everything() {
  static const std::string headers = "\x01kt\x01"s;
  return {.content_type = "text/plain",
          .content_encoding = "utf-8",
          .headers = headers,
          .delivery_mode = kDeliveryModePersistent,
          .priority = 9,
          .correlation_id = "correlation",
          .reply_to = "reply",
          .expiration = "60000",
          .message_id = "message",
          .timestamp = 0x0102030405060708,
          .type = "type",
          .user_id = "user",
          .app_id = "app",
          .cluster_id = "cluster"};
}

std::string encoded(const PropertiesView& properties) {
  std::string out;
  encode_properties(out, properties);
  return out;
}

TEST(Properties, AllOfThemRoundTrip) {
  const std::string raw = encoded(everything());
  EXPECT_EQ(raw.substr(0, 2), "\xFF\xFC");
  PropertiesView parsed;
  ASSERT_TRUE(parse_properties(raw, parsed));
  EXPECT_EQ(parsed, everything());
}

TEST(Properties, EveryTruncationAndEveryTrailingByteIsRejected) {
  const std::string raw = encoded(everything());
  PropertiesView parsed;
  for (std::size_t size = 0; size < raw.size(); ++size) {
    EXPECT_FALSE(parse_properties(Bytes(raw).substr(0, size), parsed)) << size;
  }
  EXPECT_FALSE(parse_properties(raw + '\0', parsed));
}

TEST(Properties, EachFlagStandsForOneProperty) {
  for (unsigned bit = 2; bit < 16; ++bit) {
    std::string raw;
    ByteWriter(raw).u16(static_cast<std::uint16_t>(1U << bit));
    raw.append(bit == 13 ? 4 : bit == 6 ? 8 : 1, '\0');
    PropertiesView parsed = everything();
    ASSERT_TRUE(parse_properties(raw, parsed)) << bit;
    EXPECT_EQ(encoded(parsed), raw) << bit;
  }
}

TEST(Properties, ContinuationAndUndefinedFlagsAreRejected) {
  PropertiesView parsed;
  EXPECT_FALSE(parse_properties("\x00\x01\x00\x00"s, parsed));
  EXPECT_FALSE(parse_properties("\x00\x01"s, parsed));
  EXPECT_FALSE(parse_properties("\x00\x02"s, parsed));
}

TEST(Properties, NoneIsTwoZeroBytes) {
  EXPECT_EQ(encoded({}), "\x00\x00"s);
  PropertiesView parsed = everything();
  ASSERT_TRUE(parse_properties("\x00\x00"s, parsed));
  EXPECT_EQ(parsed, PropertiesView{});
}

TEST(Properties, PersistentOnlyHasTheBytesOfTheSpecification) {
  EXPECT_EQ(encoded({.delivery_mode = kDeliveryModePersistent}), "\x10\x00\x02"s);
}

TEST(Properties, AnEmptyStringIsNotAnAbsentOne) {
  const std::string raw = "\x01\x00\x00"s;
  PropertiesView parsed;
  ASSERT_TRUE(parse_properties(raw, parsed));
  ASSERT_TRUE(parsed.expiration.has_value());
  EXPECT_EQ(*parsed.expiration, "");
}

TEST(Properties, InvalidHeadersAreRejected) {
  PropertiesView parsed;
  EXPECT_TRUE(parse_properties("\x20\x00\x00\x00\x00\x03\x01kV"s, parsed));
  EXPECT_FALSE(parse_properties("\x20\x00\x00\x00\x00\x03\x01k?"s, parsed));
}

TEST(ContentHeader, ReadsItsFixedPart) {
  const std::string payload = "\x00\x3C\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x10\x00\x02"s;
  ContentHeader header;
  ASSERT_TRUE(read_content_header(payload, header));
  EXPECT_EQ(header.class_id, 60);
  EXPECT_EQ(header.body_size, 0x100000002u);
  EXPECT_EQ(header.raw_properties, "\x10\x00\x02"s);
}

TEST(ContentHeader, RejectsAShortOneAndAWeight) {
  const std::string payload = "\x00\x3C\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"s;
  ContentHeader header;
  EXPECT_TRUE(read_content_header(payload, header));
  for (std::size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(read_content_header(Bytes(payload).substr(0, size), header)) << size;
  }
  EXPECT_FALSE(read_content_header("\x00\x3C\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"s, header));
}

}  // namespace
}  // namespace warren::amqp
