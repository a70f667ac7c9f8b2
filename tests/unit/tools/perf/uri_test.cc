// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/uri.h"

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Uri, IsRead) {
  const auto uri = parse_uri("amqp://us%40er:p%3Aw@broker:1234/%2Fv");
  ASSERT_TRUE(uri.ok());
  EXPECT_EQ(uri->user, "us@er");
  EXPECT_EQ(uri->password, "p:w");
  EXPECT_EQ(uri->host, "broker");
  EXPECT_EQ(uri->port, 1234);
  EXPECT_EQ(uri->vhost, "/v");
}

TEST(Uri, WhatIsLeftOutKeepsItsDefault) {
  const auto uri = parse_uri("amqp://[::1]");
  ASSERT_TRUE(uri.ok());
  EXPECT_EQ(uri->host, "::1");
  EXPECT_EQ(uri->port, 5672);
  EXPECT_EQ(uri->user, "guest");
  EXPECT_EQ(uri->vhost, "/");
}

TEST(Uri, IsRefusedWithoutItsPassword) {
  for (const char* const text :
       {"amqps://user:secret@broker/", "amqp://user:secret@broker:0", "user:secret@broker",
        "amqp://user:secret%zz@broker", "amqp://user:sec/ret@broker:99999"}) {
    const auto uri = parse_uri(text);
    ASSERT_FALSE(uri.ok()) << text;
    EXPECT_THAT(uri.error().text, AllOf(HasSubstr("@broker"), Not(HasSubstr("sec"))));
  }
}

}  // namespace
}  // namespace warren::perf
