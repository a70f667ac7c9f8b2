// SPDX-License-Identifier: Apache-2.0
// Arguments, properties and priorities as written on a command line.
#include "server/tools/perf/arguments.h"

#include <gmock/gmock.h>

#include "server/amqp/field_table_codec.h"

namespace warren::perf {
namespace {

using amqp::FieldTable;
using amqp::FieldValue;

TEST(ParseArguments, GuessesTypes) {
  const auto table = parse_arguments({"x-max-length=10,x-mode=lazy", "flag=true", "half=0.5"});
  ASSERT_TRUE(table.ok());
  FieldTable wanted;
  wanted.set("x-max-length", std::int64_t{10});
  wanted.set("x-mode", "lazy");
  wanted.set("flag", true);
  wanted.set("half", 0.5);
  EXPECT_EQ(*table, wanted);
}

TEST(ParseArguments, TakesATypeByName) {
  const auto table = parse_arguments({"a:string=10,b:double=1,c:int=2,d:bool=false"});
  ASSERT_TRUE(table.ok());
  FieldTable wanted;
  wanted.set("a", "10");
  wanted.set("b", 1.0);
  wanted.set("c", std::int64_t{2});
  wanted.set("d", false);
  EXPECT_EQ(*table, wanted);
}

TEST(ParseArguments, TakesJson) {
  const auto table =
      parse_arguments({R"({"x-max-length": 5, "list": [1, "two"], "t": {"u": null}})"});
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table->find("x-max-length"), FieldValue(std::int64_t{5}));
  const auto* const list = table->find("list")->get<amqp::FieldArray>();
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->size(), 2U);
  EXPECT_NE(table->find("t")->get<FieldTable>(), nullptr);
}

TEST(ParseArguments, RefusesWhatIsNone) {
  for (const char* text : {"x", "=1", "a:int=x", "a:bool=2", "a:what=1", "{", "{\"a\":}", "a=1,"}) {
    EXPECT_FALSE(parse_arguments({text}).ok()) << text;
  }
}

TEST(MessageProperties, ReachTheWire) {
  const auto properties = MessageProperties::parse(
      {"content_type=text/plain,expiration=60000", "timestamp=17"}, {"tenant=a,n=1"});
  ASSERT_TRUE(properties.ok()) << properties.error().text;
  amqp::PropertiesView view;
  const std::string raw = properties->encode(true, 7);
  ASSERT_TRUE(amqp::parse_properties(raw, view));
  EXPECT_EQ(*view.content_type, "text/plain");
  EXPECT_EQ(*view.expiration, "60000");
  EXPECT_EQ(view.timestamp, 17U);
  EXPECT_EQ(view.priority, 7);
  EXPECT_EQ(view.delivery_mode, amqp::kDeliveryModePersistent);
  ASSERT_TRUE(view.headers.has_value());
  EXPECT_EQ(*amqp::decode_table(*view.headers)->find("n"), FieldValue(std::int64_t{1}));
}

TEST(MessageProperties, AreTransientWithoutAnythingElse) {
  amqp::PropertiesView view;
  const std::string raw = MessageProperties{}.encode(false, -1);
  ASSERT_TRUE(amqp::parse_properties(raw, view));
  amqp::PropertiesView wanted;
  wanted.delivery_mode = amqp::kDeliveryModeTransient;
  EXPECT_EQ(view, wanted);
}

TEST(MessageProperties, RefuseUnknownNamesAndValues) {
  for (const char* text : {"colour=red", "priority=256", "priority=x", "content_type"}) {
    EXPECT_FALSE(MessageProperties::parse({text}, {}).ok()) << text;
  }
}

TEST(Priorities, AreOneOrARange) {
  EXPECT_EQ(Priorities::parse("")->from, -1);
  EXPECT_EQ(Priorities::parse("")->count(), 1U);
  EXPECT_EQ(Priorities::parse("5")->to, 5);
  EXPECT_EQ(Priorities::parse("0-9")->count(), 10U);
  for (const char* text : {"x", "5-", "9-0", "256", "-"}) {
    EXPECT_FALSE(Priorities::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace warren::perf
