// SPDX-License-Identifier: Apache-2.0
#include "server/auth/sasl.h"

#include <string>

#include <gtest/gtest.h>

namespace warren::auth {
namespace {

using namespace std::string_literals;

TEST(Plain, ReadsUserAndPassword) {
  const auto credentials = parse_plain("\0guest\0secret"s);
  ASSERT_TRUE(credentials.has_value());
  EXPECT_EQ(credentials->user, "guest");
  EXPECT_EQ(credentials->password, "secret");
}

TEST(Plain, IgnoresTheAuthorizationIdentity) {
  const auto credentials = parse_plain("other\0guest\0secret"s);
  ASSERT_TRUE(credentials.has_value());
  EXPECT_EQ(credentials->user, "guest");
}

TEST(Plain, EmptyPartsAreParts) {
  const auto credentials = parse_plain("\0\0"s);
  ASSERT_TRUE(credentials.has_value());
  EXPECT_EQ(credentials->user, "");
  EXPECT_EQ(credentials->password, "");
}

TEST(Plain, WantsExactlyTwoSeparators) {
  EXPECT_FALSE(parse_plain("").has_value());
  EXPECT_FALSE(parse_plain("guest").has_value());
  EXPECT_FALSE(parse_plain("\0guest"s).has_value());
  EXPECT_FALSE(parse_plain("\0guest\0secret\0"s).has_value());
}

const std::string kLogin = "\x05LOGINS\x00\x00\x00\x05guest"s;
const std::string kPassword = "\x08PASSWORDS\x00\x00\x00\x06secret"s;

TEST(AmqPlain, ReadsLoginAndPasswordInAnyOrder) {
  for (const std::string& response : {kLogin + kPassword, kPassword + kLogin}) {
    const auto credentials = parse_amqplain(response);
    ASSERT_TRUE(credentials.has_value());
    EXPECT_EQ(credentials->user, "guest");
    EXPECT_EQ(credentials->password, "secret");
  }
}

TEST(AmqPlain, IgnoresOtherLongStrings) {
  EXPECT_TRUE(parse_amqplain("\x01xS\x00\x00\x00\x00"s + kLogin + kPassword).has_value());
}

TEST(AmqPlain, WantsBothAndNothingButLongStrings) {
  EXPECT_FALSE(parse_amqplain("").has_value());
  EXPECT_FALSE(parse_amqplain(kLogin).has_value());
  EXPECT_FALSE(parse_amqplain(kPassword).has_value());
  EXPECT_FALSE(parse_amqplain(kLogin + "\x08PASSWORDt\x01"s).has_value());
}

TEST(AmqPlain, EveryTruncationIsRefused) {
  const std::string response = kLogin + kPassword;
  for (std::size_t size = 0; size < response.size(); ++size) {
    EXPECT_FALSE(parse_amqplain(Bytes(response).substr(0, size)).has_value()) << size;
  }
}

}  // namespace
}  // namespace warren::auth
