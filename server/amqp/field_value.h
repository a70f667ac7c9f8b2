// SPDX-License-Identifier: Apache-2.0
// A field table in memory: what queue arguments, headers and client properties are read into. Keeps
// the type letter of every value, so that what was decoded encodes to the same bytes.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "storage/base/assert.h"

namespace warren::amqp {

// The letters that RabbitMQ and its clients use; `l` and `L` are both signed 64-bit.
enum class FieldType : char {
  longstr = 'S',
  boolean = 't',
  signed_8 = 'b',
  unsigned_8 = 'B',
  signed_16 = 's',
  unsigned_16 = 'u',
  signed_32 = 'I',
  unsigned_32 = 'i',
  signed_64 = 'l',
  signed_64_alternative = 'L',
  float_32 = 'f',
  float_64 = 'd',
  decimal = 'D',
  timestamp = 'T',
  table = 'F',
  array = 'A',
  bytes = 'x',
  nothing = 'V',
};

struct Decimal {
  std::uint8_t scale = 0;
  std::uint32_t unscaled = 0;

  bool operator==(const Decimal&) const = default;
};

struct Timestamp {
  std::uint64_t seconds = 0;  // since the Unix epoch

  bool operator==(const Timestamp&) const = default;
};

class FieldValue;
using FieldArray = std::vector<FieldValue>;
struct FieldEntry;

// Names and values in wire order. Duplicate names are kept; find() sees the first.
// Bound: kTableBytesMax encoded, kTableValuesMax values (field_table_codec.h).
class FieldTable {
 public:
  FieldTable();
  ~FieldTable();
  FieldTable(const FieldTable&);
  FieldTable(FieldTable&&) noexcept;
  FieldTable& operator=(const FieldTable&);
  FieldTable& operator=(FieldTable&&) noexcept;

  // nullptr when there is none. The pointer lives until the table changes.
  const FieldValue* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  // Replaces the first of that name, or appends. REQUIRES: a name of at most 255 bytes.
  FieldTable& set(std::string_view name, FieldValue value);
  // Appends even if there is one of that name.
  void append(std::string name, FieldValue value);
  // All of that name.
  void erase(std::string_view name);

  const std::vector<FieldEntry>& entries() const { return entries_; }
  bool empty() const;
  std::size_t size() const;

  bool operator==(const FieldTable& other) const;

 private:
  std::vector<FieldEntry> entries_;
};

// One value and its type letter. `nothing` when default constructed.
class FieldValue {
 public:
  // All integers are held as int64, whatever their width on the wire.
  using Data = std::variant<std::monostate, bool, std::int64_t, float, double, Decimal, Timestamp,
                            std::string, FieldArray, FieldTable>;

  FieldValue() = default;
  // NOLINTBEGIN(google-explicit-constructor): a table literal reads better without a name per type.
  FieldValue(bool value) : type_(FieldType::boolean), data_(value) {}
  // `I` when it has at most 32 signed bits, else `l`.
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) FieldValue(T value)
      : type_(sizeof(T) < 4 || std::same_as<T, std::int32_t> ? FieldType::signed_32
                                                             : FieldType::signed_64),
        data_(static_cast<std::int64_t>(value)) {}
  FieldValue(double value) : type_(FieldType::float_64), data_(value) {}
  FieldValue(Timestamp value) : type_(FieldType::timestamp), data_(value) {}
  FieldValue(const char* text) : type_(FieldType::longstr), data_(std::string(text)) {}
  FieldValue(std::string_view text) : type_(FieldType::longstr), data_(std::string(text)) {}
  FieldValue(std::string text) : type_(FieldType::longstr), data_(std::move(text)) {}
  FieldValue(FieldArray array) : type_(FieldType::array), data_(std::move(array)) {}
  FieldValue(FieldTable table) : type_(FieldType::table), data_(std::move(table)) {}
  // NOLINTEND(google-explicit-constructor)

  // With a chosen letter. REQUIRES: data of the kind that the letter stands for, in its range.
  FieldValue(FieldType type, Data data);

  FieldType type() const { return type_; }
  const Data& data() const { return data_; }

  // The data if it is a T (of the variant above), else nullptr.
  template <class T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }

  // Same letter, same data.
  bool operator==(const FieldValue& other) const = default;

 private:
  FieldType type_ = FieldType::nothing;
  Data data_;
};

struct FieldEntry {
  std::string name;
  FieldValue value;

  bool operator==(const FieldEntry&) const = default;
};

// Any integer letter; not timestamps, booleans or floats.
std::optional<std::int64_t> as_integer(const FieldValue& value);
// A longstr. Points into `value`.
std::optional<std::string_view> as_string(const FieldValue& value);
std::optional<bool> as_bool(const FieldValue& value);

// "longstr", "signedint", "bool": the names that RabbitMQ uses in its error texts.
std::string_view type_name(FieldType type);

// The value as RabbitMQ prints it inside an error text: 5, true, text without quotes. Tables,
// arrays and bytes are named only. Not bounded: amqp_error cuts.
std::string to_text(const FieldValue& value);

}  // namespace warren::amqp
