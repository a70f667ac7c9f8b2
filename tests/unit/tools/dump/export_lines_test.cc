// SPDX-License-Identifier: Apache-2.0
// What is exported comes back to the same bytes, and what people write comes in as they mean it.
#include "server/tools/dump/export_lines.h"

#include <cmath>
#include <limits>
#include <random>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "storage/record/definition_record.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"
#include "server/broker/message.h"
#include "server/tools/dump/message_json.h"
#include "server/tools/dump/table_from_json.h"

namespace warren::dump {
namespace {

using storage::Definition;
using ::testing::HasSubstr;

constexpr std::int64_t kNow = 1795269552000;

template <class T>
T parsed(std::string_view line) {
  auto out = parse_export_line(line, kNow);
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().text) << " in " << line;
  if (!out.ok() || !std::holds_alternative<T>(*out)) {
    ADD_FAILURE() << "another kind of line: " << line;
    return T{};
  }
  return std::get<T>(out.take());
}

std::string error_of(std::string_view line) {
  const auto out = parse_export_line(line, kNow);
  EXPECT_FALSE(out.ok()) << line;
  return out.ok() ? "" : out.error().text;
}

std::string random_bytes(std::mt19937& random, std::size_t size_max) {
  std::string out(random() % (size_max + 1), '\0');
  const bool text = random() % 2 == 0;
  for (char& c : out) c = static_cast<char>(text ? 'a' + random() % 26 : random());
  return out;
}

std::string some_properties(std::mt19937& random) {
  amqp::FieldTable table;
  table.set("count", static_cast<std::int64_t>(random()));
  table.set("name", random_bytes(random, 20));
  table.set("nested", amqp::FieldValue(amqp::FieldTable().set("when", amqp::Timestamp{5})));
  table.append("name", amqp::FieldValue("twice"));
  std::string headers;
  amqp::encode_table(headers, table);
  amqp::PropertiesView properties;
  const std::string id = random_bytes(random, 30);
  properties.headers = amqp::TableBytes(headers);
  properties.delivery_mode = amqp::kDeliveryModePersistent;
  if (random() % 2 == 0) properties.message_id = amqp::ShortString(id);
  std::string raw;
  amqp::encode_properties(raw, properties);
  return raw;
}

TEST(ExportLines, MessagesComeBackByteForByte) {
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    const std::string exchange = random_bytes(random, 40);
    const std::string routing_key = random_bytes(random, 255);
    const std::string properties = some_properties(random);
    const std::string body = random_bytes(random, 3000);
    broker::MessageHead head;
    head.persistent = true;
    head.priority = static_cast<std::uint8_t>(random());
    head.published_ms = static_cast<std::int64_t>(random()) << 10;
    head.exchange = exchange;
    head.routing_key = routing_key;
    head.properties = properties;
    ExportedMessage message;
    message.vhost = random_bytes(random, 20);
    message.queue = random_bytes(random, 20);
    message.lane = random() % 3;
    message.seq = random();
    message.block = broker::start_message(head, body.size());
    body.copy(message.block->data() + message.block->size() - body.size(), body.size());
    message.block->data()[0] = static_cast<char>(random());

    const std::string line = boost::json::serialize(export_message(message));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto back = parsed<ExportedMessage>(line);
    EXPECT_EQ(back.vhost, message.vhost);
    EXPECT_EQ(back.queue, message.queue);
    EXPECT_EQ(back.lane, message.lane);
    EXPECT_EQ(back.seq, message.seq);
    ASSERT_NE(back.block, nullptr);
    EXPECT_EQ(back.block->bytes(), message.block->bytes());
  }
}

TEST(ExportLines, DefinitionsComeBackByteForByte) {
  amqp::FieldTable table;
  table.set("x-max-length", amqp::FieldValue(amqp::FieldType::signed_64, std::int64_t{5}));
  table.set("x-small", amqp::FieldValue(amqp::FieldType::unsigned_8, std::int64_t{5}));
  std::string arguments;
  amqp::encode_table(arguments, table);
  storage::UserDefinition user{"u\xFF", "hash=", "algorithm", {"administrator", "\xFE"}};
  storage::PermissionDefinition permission{"u", "/", ".*", "^a", ""};
  storage::ExchangeDefinition exchange{"/", "x", "topic", true, true, true, arguments};
  storage::QueueDefinition queue;
  queue.vhost = "/";
  queue.name = "q\n\x01";
  queue.durable = true;
  queue.auto_delete = true;
  queue.arguments = arguments;
  storage::BindingDefinition binding{"/", "x",   storage::BindingDestination::exchange,
                                     "y", "a.#", arguments};
  storage::PolicyDefinition policy{
      "/", true, "p\xFF", "^q", storage::PolicyTarget::quorum_queues, -3, arguments};
  const std::vector<Definition> all = {
      storage::VhostDefinition{"v"}, user, permission, exchange, queue, binding, policy};
  for (const Definition& definition : all) {
    const std::string line = boost::json::serialize(export_definition(definition));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto back = parsed<Definition>(line);
    EXPECT_EQ(storage::encode_definition(back), storage::encode_definition(definition)) << line;
  }
}

TEST(ExportLines, HeadAndEndAreReadBack) {
  const auto head = parsed<ExportHead>(boost::json::serialize(export_head("id", 5)));
  EXPECT_EQ(head.format, kExportFormat);
  EXPECT_EQ(head.store_id, "id");
  EXPECT_EQ(parsed<ExportEnd>(boost::json::serialize(export_end(17))).messages, 17u);
}

TEST(ExportLines, AMessageWrittenByHandIsEnough) {
  const auto message = parsed<ExportedMessage>(
      R"({"kind":"message","vhost":"/","queue":"q","exchange":"","routing_key":"q",)"
      R"("properties":{"content_type":"text/plain","headers":{"a":1,"b":[true,null,2.5]}},)"
      R"("body":"hello"})");
  ASSERT_NE(message.block, nullptr);
  ASSERT_TRUE(broker::valid_message(*message.block));
  const broker::MessageView view(*message.block);
  EXPECT_TRUE(view.persistent());
  EXPECT_EQ(view.published_ms(), kNow);
  EXPECT_EQ(view.body(), "hello");
  EXPECT_EQ(boost::json::serialize(properties_json(view.properties())),
            R"({"content_type":"text/plain","headers":{"a":1,"b":[true,null,2.5E0]}})");
}

TEST(ExportLines, AQueueOrExchangeWrittenByHandIsDurable) {
  const auto queue = parsed<Definition>(R"({"kind":"queue","vhost":"/","name":"q"})");
  EXPECT_TRUE(std::get<storage::QueueDefinition>(queue).durable);
  const auto exchange =
      parsed<Definition>(R"({"kind":"exchange","vhost":"/","name":"x","type":"topic"})");
  EXPECT_TRUE(std::get<storage::ExchangeDefinition>(exchange).durable);
}

// What nobody reads would be lost without a word.
TEST(ExportLines, MembersThatMeanNothingAreRefused) {
  const std::vector<std::string> sound = {
      R"({"kind":"warren-export","format":1,"store":"s","exported":"now")",
      R"({"kind":"vhost","name_base64":"/w==")",
      R"({"kind":"user","name":"u","password_hash":"","hashing_algorithm":"","tags":["t"])",
      R"({"kind":"permission","user":"u","vhost":"/","configure":"","write":"","read":"")",
      R"({"kind":"exchange","vhost":"/","name":"x","type":"topic","internal":true)",
      R"({"kind":"queue","vhost":"/","name":"q","arguments":{"x-expires":5})",
      R"({"kind":"binding","vhost":"/","source":"x","to":"queue","destination":"q",)"
      R"("routing_key":"")",
      R"({"kind":"policy","vhost":"/","name":"p","pattern":"","apply_to":"all","definition":{})",
      R"({"kind":"message","vhost":"/","queue":"q","exchange":"","routing_key":"","body":"")",
      R"({"kind":"end","messages":0)"};
  for (const std::string& line : sound) {
    EXPECT_TRUE(parse_export_line(line + "}", kNow).ok()) << line;
    EXPECT_THAT(error_of(line + R"(,"argments":{}})"), HasSubstr("unknown member 'argments'"));
    EXPECT_THAT(error_of(line + R"(,"kind_wire":""})"), HasSubstr("unknown member 'kind_wire'"));
  }
}

TEST(ExportLines, WhatDoesNotFitIsRefusedByName) {
  EXPECT_THAT(error_of("{"), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'kind'"));
  EXPECT_THAT(error_of(R"({"kind":"quue"})"), HasSubstr("unknown kind 'quue'"));
  EXPECT_THAT(error_of(R"({"kind":"queue","vhost":"/"})"), HasSubstr("'name'"));
  EXPECT_THAT(error_of(R"({"kind":"queue","vhost":"/","name":"q","durable":1})"),
              HasSubstr("'durable'"));
  EXPECT_THAT(error_of(R"({"kind":"queue","vhost":"/","name":"q","arguments_wire":"AAAA"})"),
              HasSubstr("'arguments_wire'"));
  EXPECT_THAT(error_of(R"({"kind":"binding","vhost":"/","source":"x","to":"nothing",)"
                       R"("destination":"q","routing_key":""})"),
              HasSubstr("'to'"));
  const std::string message =
      R"({"kind":"message","vhost":"/","queue":"q","exchange":"","routing_key":"",)";
  EXPECT_THAT(error_of(message + R"("body_base64":"?"})"), HasSubstr("'body'"));
  EXPECT_THAT(error_of(message + R"("body":"","properties":{"nonsense":1}})"),
              HasSubstr("'properties'"));
  EXPECT_THAT(error_of(message + R"("body":"","properties_wire":"EAA="})"),
              HasSubstr("'properties_wire'"));
  EXPECT_THAT(error_of(message + R"("body":"","priority":300})"), HasSubstr("'priority'"));
  const auto newer = parse_export_line(R"({"kind":"warren-export","format":2,"store":"x"})", kNow);
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, Errc::format_too_new);
}

// A header may be infinite; JSON has no such number.
TEST(ExportLines, NumbersWithoutEndCanBeReadBack) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double number : {kInfinity, -kInfinity, std::nan("")}) {
    amqp::FieldTable table;
    table.set("number", number);
    table.set("small", amqp::FieldValue(amqp::FieldType::float_32, static_cast<float>(number)));
    const std::string line = boost::json::serialize(to_json(table));
    boost::json::error_code error;
    const auto parsed = boost::json::parse(line, error);
    ASSERT_FALSE(error) << line;
    const auto content = table_content(parsed.get_object());
    ASSERT_TRUE(content.ok()) << line;
    const auto back = amqp::decode_table(*content);
    ASSERT_TRUE(back.ok());
    const double got = *back->find("number")->get<double>();
    EXPECT_TRUE(got == number || (std::isnan(got) && std::isnan(number))) << line;
  }
}

TEST(TableFromJson, KeepsValuesThatJsonHasNoTypeFor) {
  amqp::FieldTable table;
  table.set("bytes", amqp::FieldValue(std::string("\xFF\x00", 2)));
  table.set("when", amqp::Timestamp{1795269552});
  table.set("price", amqp::FieldValue(amqp::FieldType::decimal, amqp::Decimal{2, 1999}));
  table.set("small", 5);
  table.set("large", std::int64_t{1} << 40);
  table.set("nothing", amqp::FieldValue());
  const auto content = table_content(to_json(table));
  ASSERT_TRUE(content.ok()) << content.error().text;
  const auto back = amqp::decode_table(*content);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, table);
}

TEST(TableFromJson, RefusesWhatAmqpHasNoRoomFor) {
  boost::json::object deep;
  for (int i = 0; i < 100; ++i) deep = boost::json::object{{"in", deep}};
  EXPECT_FALSE(table_content(deep).ok());
  EXPECT_FALSE(table_content({{std::string(256, 'n'), 1}}).ok());
  EXPECT_FALSE(table_content({{"n", std::uint64_t{1} << 63}}).ok());
  EXPECT_FALSE(properties_bytes({{"message_id", std::string(256, 'i')}}).ok());
  EXPECT_FALSE(properties_bytes({{"priority", "high"}}).ok());
}

}  // namespace
}  // namespace warren::dump
