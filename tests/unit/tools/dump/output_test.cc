// SPDX-License-Identifier: Apache-2.0
// Bytes become text and back, and times and sizes read as people write them.
#include "server/tools/dump/output.h"

#include <random>

#include <gmock/gmock.h>

namespace warren::dump {
namespace {

TEST(Base64, HasTheVectorsOfRfc4648) {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64(bytes), text);
    std::string back;
    EXPECT_TRUE(from_base64(text, back));
    EXPECT_EQ(back, bytes);
  }
}

TEST(Base64, RoundTripsAnyBytes) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    std::string back;
    EXPECT_TRUE(from_base64(to_base64(bytes), back));
    EXPECT_EQ(back, bytes);
  }
}

TEST(Base64, RefusesWhatIsNone) {
  std::string out;
  for (const char* text : {"Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "Zm9*", "Zg=v", "===="}) {
    EXPECT_FALSE(from_base64(text, out)) << text;
  }
}

TEST(Utf8, KnowsSoundSequences) {
  for (const char* text : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x87"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text : {"\x80", "\xC0\xAF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80",
                           "\xF5\x80\x80\x80", "\xF4\x90\x80\x80", "\xE2\x82", "a\xFFz"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(PutBytes, GivesBackWhatItWasGiven) {
  for (const std::string& bytes :
       {std::string("text"), std::string("\xFF\x00z", 3), std::string()}) {
    boost::json::object object;
    put_bytes(object, "name", bytes);
    std::string back;
    EXPECT_TRUE(get_bytes(object, "name", back));
    EXPECT_EQ(back, bytes);
  }
}

TEST(Time, ReadsWhatItWrites) {
  for (const std::int64_t ms :
       {std::int64_t{0}, std::int64_t{1795269552174}, std::int64_t{951782400000}}) {
    std::int64_t back = -1;
    EXPECT_TRUE(parse_time(time_text(ms), 0, back));
    EXPECT_EQ(back, ms);
  }
  EXPECT_EQ(time_text(1795269552174), "2026-11-21T13:59:12.174Z");
}

TEST(Time, MissingPartsAreTheFirstOnes) {
  std::int64_t whole = 0;
  std::int64_t day = 0;
  ASSERT_TRUE(parse_time("2026-11-21T00:00:00.000Z", 0, whole));
  ASSERT_TRUE(parse_time("2026-11-21", 0, day));
  EXPECT_EQ(day, whole);
  ASSERT_TRUE(parse_time("2026-11-21 00:00", 0, day));
  EXPECT_EQ(day, whole);
}

TEST(Time, ReadsAges) {
  std::int64_t ms = 0;
  ASSERT_TRUE(parse_time("90s", 1'000'000, ms));
  EXPECT_EQ(ms, 910'000);
  ASSERT_TRUE(parse_time("2h", 10'000'000, ms));
  EXPECT_EQ(ms, 2'800'000);
  for (const char* text :
       {"", "s", "5x", "-5m", "5", "yesterday", "2026-13-01", "2026-1-1", "99999999999999d"}) {
    EXPECT_FALSE(parse_time(text, 0, ms)) << text;
  }
}

TEST(Sizes, ReadAsPeopleWriteThem) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(std::uint64_t{3} << 30), "3.0 GiB");
}

TEST(Hex, ShowsOffsetsOctetsAndText) {
  EXPECT_EQ(hex_text("ab\n"),
            "  00000000  61 62 0a                                          |ab.|\n");
  EXPECT_EQ(hex_text(""), "");
}

}  // namespace
}  // namespace warren::dump
