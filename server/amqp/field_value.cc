// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/field_value.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "server/amqp/wire_types.h"

namespace warren::amqp {
namespace {

template <class T>
bool in_range(std::int64_t value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

bool fits(FieldType type, const FieldValue::Data& data) {
  const auto* integer = std::get_if<std::int64_t>(&data);
  switch (type) {
    case FieldType::longstr:
    case FieldType::bytes:
      return std::holds_alternative<std::string>(data);
    case FieldType::boolean:
      return std::holds_alternative<bool>(data);
    case FieldType::signed_8:
      return integer != nullptr && in_range<std::int8_t>(*integer);
    case FieldType::unsigned_8:
      return integer != nullptr && in_range<std::uint8_t>(*integer);
    case FieldType::signed_16:
      return integer != nullptr && in_range<std::int16_t>(*integer);
    case FieldType::unsigned_16:
      return integer != nullptr && in_range<std::uint16_t>(*integer);
    case FieldType::signed_32:
      return integer != nullptr && in_range<std::int32_t>(*integer);
    case FieldType::unsigned_32:
      return integer != nullptr && in_range<std::uint32_t>(*integer);
    case FieldType::signed_64:
    case FieldType::signed_64_alternative:
      return integer != nullptr;
    case FieldType::float_32:
      return std::holds_alternative<float>(data);
    case FieldType::float_64:
      return std::holds_alternative<double>(data);
    case FieldType::decimal:
      return std::holds_alternative<Decimal>(data);
    case FieldType::timestamp:
      return std::holds_alternative<Timestamp>(data);
    case FieldType::table:
      return std::holds_alternative<FieldTable>(data);
    case FieldType::array:
      return std::holds_alternative<FieldArray>(data);
    case FieldType::nothing:
      return std::holds_alternative<std::monostate>(data);
  }
  return false;
}

}  // namespace

FieldTable::FieldTable() = default;
FieldTable::~FieldTable() = default;
FieldTable::FieldTable(const FieldTable&) = default;
FieldTable::FieldTable(FieldTable&&) noexcept = default;
FieldTable& FieldTable::operator=(const FieldTable&) = default;
FieldTable& FieldTable::operator=(FieldTable&&) noexcept = default;

const FieldValue* FieldTable::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const FieldEntry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &found->value;
}

FieldTable& FieldTable::set(std::string_view name, FieldValue value) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const FieldEntry& entry) { return entry.name == name; });
  if (found != entries_.end()) {
    found->value = std::move(value);
  } else {
    append(std::string(name), std::move(value));
  }
  return *this;
}

void FieldTable::append(std::string name, FieldValue value) {
  WARREN_ASSERT(name.size() <= kShortStringBytesMax);
  entries_.push_back({.name = std::move(name), .value = std::move(value)});
}

void FieldTable::erase(std::string_view name) {
  std::erase_if(entries_, [&](const FieldEntry& entry) { return entry.name == name; });
}

bool FieldTable::empty() const {
  return entries_.empty();
}

std::size_t FieldTable::size() const {
  return entries_.size();
}

bool FieldTable::operator==(const FieldTable& other) const {
  return entries_ == other.entries_;
}

FieldValue::FieldValue(FieldType type, Data data) : type_(type), data_(std::move(data)) {
  WARREN_ASSERT(fits(type_, data_));
}

std::optional<std::int64_t> as_integer(const FieldValue& value) {
  const auto* integer = value.get<std::int64_t>();
  return integer == nullptr ? std::nullopt : std::optional(*integer);
}

std::optional<std::string_view> as_string(const FieldValue& value) {
  if (value.type() != FieldType::longstr) return std::nullopt;
  return std::string_view(*value.get<std::string>());
}

std::optional<bool> as_bool(const FieldValue& value) {
  const auto* boolean = value.get<bool>();
  return boolean == nullptr ? std::nullopt : std::optional(*boolean);
}

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::longstr:
      return "longstr";
    case FieldType::boolean:
      return "bool";
    case FieldType::signed_8:
      return "byte";
    case FieldType::unsigned_8:
      return "unsignedbyte";
    case FieldType::signed_16:
      return "short";
    case FieldType::unsigned_16:
      return "unsignedshort";
    case FieldType::signed_32:
      return "signedint";
    case FieldType::unsigned_32:
      return "unsignedint";
    case FieldType::signed_64:
    case FieldType::signed_64_alternative:
      return "long";
    case FieldType::float_32:
      return "float";
    case FieldType::float_64:
      return "double";
    case FieldType::decimal:
      return "decimal";
    case FieldType::timestamp:
      return "timestamp";
    case FieldType::table:
      return "table";
    case FieldType::array:
      return "array";
    case FieldType::bytes:
      return "binary";
    case FieldType::nothing:
      return "void";
  }
  return "unknown";
}

std::string to_text(const FieldValue& value) {
  switch (value.type()) {
    case FieldType::longstr:
      return *value.get<std::string>();
    case FieldType::boolean:
      return *value.get<bool>() ? "true" : "false";
    case FieldType::signed_8:
    case FieldType::unsigned_8:
    case FieldType::signed_16:
    case FieldType::unsigned_16:
    case FieldType::signed_32:
    case FieldType::unsigned_32:
    case FieldType::signed_64:
    case FieldType::signed_64_alternative:
      return fmt::format("{}", *value.get<std::int64_t>());
    case FieldType::float_32:
      return fmt::format("{}", *value.get<float>());
    case FieldType::float_64:
      return fmt::format("{}", *value.get<double>());
    case FieldType::decimal:
      return fmt::format("{}e-{}", value.get<Decimal>()->unscaled, value.get<Decimal>()->scale);
    case FieldType::timestamp:
      return fmt::format("{}", value.get<Timestamp>()->seconds);
    case FieldType::table:
    case FieldType::array:
    case FieldType::bytes:
    case FieldType::nothing:
      return std::string(type_name(value.type()));
  }
  return {};
}

}  // namespace warren::amqp
