// SPDX-License-Identifier: Apache-2.0
#include "server/broker/dedup.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange_arguments.h"

namespace warren::broker {
namespace {

using amqp::FieldTable;
using amqp::FieldType;
using amqp::FieldValue;
using std::chrono::milliseconds;

std::string encoded(const FieldTable& table) {
  std::string out;
  amqp::encode_table(out, table);
  return out;
}

std::string id_of(const FieldTable& headers, const DedupSettings& settings = {}) {
  const auto id = read_dedup_id(settings, encoded(headers));
  return id ? id->id : "none";
}

TEST(Dedup, RemembersEachIdOnce) {
  DedupCache cache(10);
  const Instant now{};
  EXPECT_TRUE(cache.insert({"a"}, now));
  EXPECT_FALSE(cache.insert({"a"}, now));
  EXPECT_TRUE(cache.insert({"b"}, now));
  EXPECT_FALSE(cache.insert({"a"}, now + std::chrono::hours(1000)));
}

TEST(Dedup, ForgetsTheOldestWhenFull) {
  DedupCache cache(3);
  const Instant now{};
  for (const char* const id : {"a", "b", "c"}) EXPECT_TRUE(cache.insert({id}, now));
  EXPECT_FALSE(cache.insert({"a"}, now));  // being seen again makes it no younger
  EXPECT_TRUE(cache.insert({"d"}, now));
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_FALSE(cache.insert({"b"}, now));
  EXPECT_TRUE(cache.insert({"a"}, now));
}

TEST(Dedup, ForgetsWhatWasNotPublished) {
  DedupCache cache(10);
  EXPECT_TRUE(cache.insert({"a", {}, 1}, Instant{}));
  cache.forget("a", 2);  // not the one that brought it
  EXPECT_FALSE(cache.insert({"a", {}, 3}, Instant{}));
  cache.forget("a", 1);
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_TRUE(cache.insert({"a", {}, 4}, Instant{}));
}

TEST(Dedup, ForgetsAfterItsTime) {
  DedupCache cache(10);
  const Instant now{};
  EXPECT_TRUE(cache.insert({"a", 100}, now));
  EXPECT_FALSE(cache.insert({"a", 100}, now + milliseconds(99)));
  EXPECT_TRUE(cache.insert({"a", 100}, now + milliseconds(100)));
  EXPECT_FALSE(cache.insert({"a", 100}, now + milliseconds(199)));
  EXPECT_TRUE(cache.insert({"never", INT64_MAX}, now));
  EXPECT_FALSE(cache.insert({"never", INT64_MAX}, now + std::chrono::hours(100'000)));
  EXPECT_EQ(cache.size(), 2U);
}

// Many large ids: the bytes are bounded, too.
TEST(Dedup, MemoryIsBounded) {
  DedupCache cache(kDedupSizeMax);
  const std::string large(1_MiB, 'x');
  for (int i = 0; i < 300; ++i) {
    EXPECT_TRUE(cache.insert({large + std::to_string(i)}, Instant{}));
  }
  EXPECT_LE(cache.bytes(), kDedupBytesMax);
  EXPECT_GT(cache.size(), 250U);
  EXPECT_FALSE(cache.insert({large + "299"}, Instant{}));
}

TEST(Dedup, ReadsTheIdOfAMessage) {
  const char* const header = "x-deduplication-header";
  EXPECT_EQ(id_of(FieldTable()), "none");
  EXPECT_EQ(id_of(FieldTable().set("other", header)), "none");
  const std::string text = id_of(FieldTable().set("x", 1).set(header, "5"));
  EXPECT_EQ(text, id_of(FieldTable().set(header, "5")));
  // The same number in another width is the same, the digits as text are not.
  const std::string number = id_of(FieldTable().set(header, FieldValue(FieldType::signed_8, 5L)));
  EXPECT_EQ(number, id_of(FieldTable().set(header, FieldValue(FieldType::signed_64, 5L))));
  EXPECT_NE(number, text);
  EXPECT_NE(id_of(FieldTable().set(header, true)), id_of(FieldTable().set(header, 1)));
  DedupSettings settings;
  settings.header = "my-id";
  EXPECT_EQ(id_of(FieldTable().set("my-id", "5"), settings), text);
  EXPECT_EQ(id_of(FieldTable().set(header, "5"), settings), "none");
}

TEST(Dedup, TimeIsTheExchangesOrTheMessages) {
  DedupSettings settings;
  const auto ttl = [&](const FieldTable& headers) {
    return read_dedup_id(settings, encoded(headers))->ttl_ms.value_or(-1);
  };
  const FieldTable plain = FieldTable().set("x-deduplication-header", "a");
  EXPECT_EQ(ttl(plain), -1);
  settings.ttl_ms = 1000;
  EXPECT_EQ(ttl(plain), 1000);
  EXPECT_EQ(ttl(FieldTable(plain).set("x-cache-ttl", 5)), 5);
  EXPECT_EQ(ttl(FieldTable(plain).set("x-cache-ttl", "text")), 1000);
  EXPECT_EQ(ttl(FieldTable(plain).set("x-cache-ttl", -5)), 1000);
}

TEST(Dedup, SettingsComeFromTheArguments) {
  const auto read = [](const FieldTable& arguments) {
    return read_dedup_settings(encoded(arguments));
  };
  EXPECT_FALSE(read(FieldTable()));
  EXPECT_FALSE(read(FieldTable().set("x-message-deduplication", false)));
  const auto plain = read(FieldTable().set("x-message-deduplication", true));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->size, 128U);
  EXPECT_FALSE(plain->ttl_ms);
  EXPECT_EQ(plain->header, "x-deduplication-header");
  const auto full = read(FieldTable()
                             .set("x-message-deduplication", true)
                             .set("x-cache-size", 5)
                             .set("x-cache-ttl", 6)
                             .set("x-deduplication-header", "id"));
  ASSERT_TRUE(full);
  EXPECT_EQ(full->size, 5U);
  EXPECT_EQ(full->ttl_ms, 6);
  EXPECT_EQ(full->header, "id");
}

TEST(Dedup, WrongArgumentsAreRefused) {
  const auto refused = [](const char* name, const FieldValue& value) {
    FieldTable arguments = FieldTable().set("x-message-deduplication", true).set(name, value);
    const auto error = check_exchange_arguments("fanout", arguments, "exchange 'x' in vhost '/'");
    return error && error->text.find(fmt::format("invalid arg '{}'", name)) != std::string::npos;
  };
  EXPECT_TRUE(refused("x-message-deduplication", FieldValue("true")));
  for (const FieldValue& value :
       {FieldValue(0), FieldValue(-1), FieldValue(1'000'001), FieldValue("5"), FieldValue(1.5)}) {
    EXPECT_TRUE(refused("x-cache-size", value)) << amqp::to_text(value);
  }
  EXPECT_FALSE(refused("x-cache-size", FieldValue(1'000'000)));
  EXPECT_TRUE(refused("x-cache-ttl", FieldValue(-1)));
  EXPECT_TRUE(refused("x-cache-ttl", FieldValue("5")));
  EXPECT_FALSE(refused("x-cache-ttl", FieldValue(0)));
  EXPECT_TRUE(refused("x-deduplication-header", FieldValue(5)));
}

}  // namespace
}  // namespace warren::broker
