// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/amqp_error.h"

#include <string>

#include <gtest/gtest.h>

namespace warren::amqp {
namespace {

TEST(AmqpError, TextIsCodeNameAndExplanation) {
  const AmqpError error = channel_error(ReplyCode::not_found, "no queue 'q' in vhost '/'");
  EXPECT_EQ(error.text, "NOT_FOUND - no queue 'q' in vhost '/'");
  EXPECT_EQ(error.code, ReplyCode::not_found);
  EXPECT_FALSE(error.closes_connection);
}

TEST(AmqpError, ConnectionErrorClosesTheConnection) {
  EXPECT_TRUE(connection_error(ReplyCode::frame_error, "bad end octet").closes_connection);
  EXPECT_EQ(connection_error(ReplyCode::frame_error, "").text, "FRAME_ERROR");
}

TEST(AmqpError, TextFitsAShortString) {
  EXPECT_EQ(channel_error(ReplyCode::not_found, std::string(300, 'x')).text.size(), 255u);
}

// 2-byte characters: the cut at 255 would fall inside one.
TEST(AmqpError, TextIsNotCutInsideACharacter) {
  std::string explanation;
  for (int i = 0; i < 200; ++i) explanation += "\xC3\xA9";
  const std::string text = channel_error(ReplyCode::not_found, explanation).text;
  EXPECT_EQ(text.size(), 254u);
  EXPECT_EQ(text.substr(text.size() - 2), "\xC3\xA9");
}

TEST(Utf8Prefix, StepsBackToABoundary) {
  EXPECT_EQ(utf8_prefix("abc", 3), "abc");
  EXPECT_EQ(utf8_prefix("abcd", 3), "abc");
  EXPECT_EQ(utf8_prefix("a\xF0\x9F\x90\x87", 4), "a");
  EXPECT_EQ(utf8_prefix("a\xF0\x9F\x90\x87", 5), "a\xF0\x9F\x90\x87");
  EXPECT_EQ(utf8_prefix("\xF0\x9F\x90\x87", 3), "");
}

TEST(Utf8Prefix, BytesThatAreNotUtf8AreCutAnywhere) {
  EXPECT_EQ(utf8_prefix("\x80\x80\x80\x80\x80\x80", 5).size(), 5u);
}

}  // namespace
}  // namespace warren::amqp
