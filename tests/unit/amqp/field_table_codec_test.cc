// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/field_table_codec.h"

#include <bit>
#include <string>

#include <gtest/gtest.h>

namespace warren::amqp {
namespace {

using namespace std::string_literals;

std::string encoded(const FieldTable& table) {
  std::string out;
  encode_table(out, table);
  return out;
}

std::string prefixed(std::string_view content) {
  std::string out;
  ByteWriter(out).u32(static_cast<std::uint32_t>(content.size()));
  return out.append(content);
}

// One value of every letter, with bytes that show width and sign.
const std::string kAllTypes =
    "\x01"s
    "aS\x00\x00\x00\x02hi"s
    "\x01"s
    "bt\x01"s
    "\x01"s
    "cb\xFF"s
    "\x01"s
    "dB\xFF"s
    "\x01"s
    "es\xFF\xFE"s
    "\x01"s
    "fu\xFF\xFE"s
    "\x01"s
    "gI\xFF\xFF\xFF\xFD"s
    "\x01"s
    "hi\xFF\xFF\xFF\xFD"s
    "\x01"s
    "il\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFC"s
    "\x01"s
    "jL\x00\x00\x00\x00\x00\x00\x00\x04"s
    "\x01"s
    "kf\x3F\x80\x00\x00"s
    "\x01"s
    "ld\x3F\xF8\x00\x00\x00\x00\x00\x00"s
    "\x01"s
    "mD\x02\x00\x00\x01\x3A"s
    "\x01"s
    "nT\x00\x00\x00\x00\x65\x00\x00\x00"s
    "\x01"s
    "oF\x00\x00\x00\x03\x01xV"s
    "\x01"s
    "pA\x00\x00\x00\x05Vt\x00t\x01"s
    "\x01"s
    "qx\x00\x00\x00\x02\x00\xFF"s
    "\x01"s
    "rV"s;

TEST(FieldTableCodec, EveryTypeRoundTripsByteExactly) {
  ASSERT_TRUE(valid_table(kAllTypes));
  const Result<FieldTable> table = decode_table(kAllTypes);
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->size(), 18u);
  EXPECT_EQ(encoded(*table), kAllTypes);
}

TEST(FieldTableCodec, ValuesHaveTheirWidthAndSign) {
  const FieldTable table = decode_table(kAllTypes).take();
  const auto integer = [&](std::string_view name) { return as_integer(*table.find(name)); };
  EXPECT_EQ(integer("c"), -1);
  EXPECT_EQ(integer("d"), 255);
  EXPECT_EQ(integer("e"), -2);
  EXPECT_EQ(integer("f"), 65534);
  EXPECT_EQ(integer("g"), -3);
  EXPECT_EQ(integer("h"), 4294967293);
  EXPECT_EQ(integer("i"), -4);
  EXPECT_EQ(integer("j"), 4);
  EXPECT_EQ(as_string(*table.find("a")), "hi");
  EXPECT_EQ(as_bool(*table.find("b")), true);
  EXPECT_EQ(*table.find("k")->get<float>(), 1.0F);
  EXPECT_EQ(*table.find("l")->get<double>(), 1.5);
  EXPECT_EQ(*table.find("m")->get<Decimal>(), (Decimal{.scale = 2, .unscaled = 314}));
  EXPECT_EQ(table.find("n")->get<Timestamp>()->seconds, 0x65000000u);
  EXPECT_EQ(table.find("o")->get<FieldTable>()->find("x")->type(), FieldType::nothing);
  EXPECT_EQ(table.find("p")->get<FieldArray>()->size(), 3u);
  EXPECT_EQ(*table.find("q")->get<std::string>(), "\x00\xFF"s);
  EXPECT_EQ(table.find("z"), nullptr);
}

TEST(FieldTableCodec, ATruncatedTableIsInvalidUnlessTheCutFallsBetweenEntries) {
  std::size_t valid = 0;
  for (std::size_t size = 0; size < kAllTypes.size(); ++size) {
    const Bytes cut = Bytes(kAllTypes).substr(0, size);
    EXPECT_EQ(decode_table(cut).ok(), valid_table(cut));
    valid += valid_table(cut) ? 1 : 0;
  }
  EXPECT_EQ(valid, 18u);
}

TEST(FieldTableCodec, UnknownLettersAreInvalid) {
  const std::string known = "StbBsuIilLfdDTFAxV";
  for (int letter = 0; letter < 256; ++letter) {
    const bool is_known = known.find(static_cast<char>(letter)) != std::string::npos;
    const std::string content = "\x01k"s + static_cast<char>(letter) + std::string(8, '\0');
    if (is_known) continue;
    EXPECT_FALSE(valid_table(content)) << letter;
  }
}

TEST(FieldTableCodec, NestedLengthsMustStayInside) {
  EXPECT_FALSE(valid_table("\x01kF\x00\x00\x00\x04\x01xV"s));
  EXPECT_FALSE(valid_table("\x01kF\x00\x00\x00\x02\x01xV"s));
  EXPECT_FALSE(valid_table("\x01kS\xFF\xFF\xFF\xFFx"s));
  EXPECT_FALSE(valid_table("\x01kA\x00\x00\x00\x01t\x01"s));
}

std::string nested_tables(int depth) {
  std::string content = "\x01kV"s;
  for (int level = 1; level < depth; ++level) content = "\x01kF"s + prefixed(content);
  return content;
}

std::string nested_arrays(int depth) {
  std::string array = "V";
  for (int level = 2; level < depth; ++level) array = "A" + prefixed(array);
  return "\x01kA"s + prefixed(array);
}

// P7
TEST(FieldTableCodec, DepthIsBounded) {
  EXPECT_TRUE(valid_table(nested_tables(kTableDepthMax)));
  EXPECT_TRUE(decode_table(nested_tables(kTableDepthMax)).ok());
  EXPECT_FALSE(valid_table(nested_tables(kTableDepthMax + 1)));
  EXPECT_TRUE(valid_table(nested_arrays(kTableDepthMax)));
  EXPECT_FALSE(valid_table(nested_arrays(kTableDepthMax + 1)));
  EXPECT_FALSE(valid_table(nested_arrays(20'000)));
}

// P7
TEST(FieldTableCodec, SizeIsBounded) {
  const std::string largest = "\x01kS"s + prefixed(std::string(kTableBytesMax - 7, 'x'));
  EXPECT_TRUE(valid_table(largest));
  EXPECT_FALSE(valid_table("\x00V"s + largest));
}

// P7
TEST(FieldTableCodec, NumberOfValuesIsBounded) {
  const auto array_of = [](std::size_t items) {
    return "\x01kA"s + prefixed(std::string(items, 'V'));
  };
  EXPECT_TRUE(valid_table(array_of(kTableValuesMax - 1)));
  EXPECT_FALSE(valid_table(array_of(kTableValuesMax)));
}

TEST(FieldTableCodec, EmptyTableIsValid) {
  EXPECT_TRUE(valid_table(""));
  EXPECT_TRUE(decode_table("").take().empty());
}

TEST(FieldTableCodec, DuplicateNamesAreKeptAndTheFirstIsFound) {
  const std::string content = "\x01kt\x01\x01kt\x00"s;
  const FieldTable table = decode_table(content).take();
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(as_bool(*table.find("k")), true);
  EXPECT_EQ(encoded(table), content);
}

TEST(FieldTableCodec, AnyNonZeroOctetIsTrue) {
  EXPECT_EQ(as_bool(*decode_table("\x01kt\x02"s).take().find("k")), true);
}

TEST(FieldTableCodec, NotANumberKeepsItsBits) {
  const std::string content = "\x01kf\x7F\xC0\x00\x01"s;
  EXPECT_EQ(encoded(decode_table(content).take()), content);
}

TEST(FieldTable, BuilderChoosesTheLetterByTheType) {
  FieldTable table;
  table.set("flag", true)
      .set("small", 5)
      .set("wide", std::int64_t{5})
      .set("seconds", Timestamp{1})
      .set("text", "x")
      .set("real", 0.5)
      .set("inner", FieldTable().set("k", "v"))
      .set("list", FieldArray{"a", 1});
  const auto letter = [&](std::string_view name) {
    return static_cast<char>(table.find(name)->type());
  };
  EXPECT_EQ(letter("flag"), 't');
  EXPECT_EQ(letter("small"), 'I');
  EXPECT_EQ(letter("wide"), 'l');
  EXPECT_EQ(letter("seconds"), 'T');
  EXPECT_EQ(letter("text"), 'S');
  EXPECT_EQ(letter("real"), 'd');
  EXPECT_EQ(letter("inner"), 'F');
  EXPECT_EQ(letter("list"), 'A');
  EXPECT_EQ(decode_table(encoded(table)).take(), table);
}

TEST(FieldTable, SetReplacesAndEraseRemoves) {
  FieldTable table;
  table.set("a", 1).set("b", 2).set("a", 3);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(as_integer(*table.find("a")), 3);
  table.erase("a");
  EXPECT_FALSE(table.contains("a"));
  EXPECT_TRUE(table.contains("b"));
}

TEST(FieldTableDeathTest, ALetterWithForeignDataIsABugOfOurs) {
  EXPECT_DEATH(FieldValue(FieldType::signed_8, FieldValue::Data(std::int64_t{128})), "fits");
  EXPECT_DEATH(FieldValue(FieldType::boolean, FieldValue::Data(std::int64_t{1})), "fits");
}

TEST(FieldValueText, NamesAreThoseOfErrorTexts) {
  EXPECT_EQ(type_name(FieldType::signed_32), "signedint");
  EXPECT_EQ(type_name(FieldType::longstr), "longstr");
  EXPECT_EQ(type_name(FieldType::boolean), "bool");
  EXPECT_EQ(type_name(FieldType::signed_64), "long");
  EXPECT_EQ(to_text(FieldValue(5)), "5");
  EXPECT_EQ(to_text(FieldValue(false)), "false");
  EXPECT_EQ(to_text(FieldValue("drop-head")), "drop-head");
}

TEST(FieldValueAccess, OnlyIntegersAreIntegers) {
  EXPECT_EQ(as_integer(FieldValue(true)), std::nullopt);
  EXPECT_EQ(as_integer(FieldValue(1.0)), std::nullopt);
  EXPECT_EQ(as_integer(FieldValue("1")), std::nullopt);
  EXPECT_EQ(as_integer(FieldValue(Timestamp{1})), std::nullopt);
  EXPECT_EQ(as_string(FieldValue(FieldType::bytes, std::string("x"))), std::nullopt);
  EXPECT_EQ(as_bool(FieldValue(1)), std::nullopt);
}

}  // namespace
}  // namespace warren::amqp
