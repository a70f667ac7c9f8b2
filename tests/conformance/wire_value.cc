// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/wire_value.h"

#include <fmt/format.h>

#include "storage/base/assert.h"

namespace warren::conformance {
namespace {

constexpr std::size_t kShownBytesMax = 120;

std::string mismatch_of_table(const Value& expected, const amqp::FieldTable& actual, TableMatch how,
                              const Variables& variables) {
  std::size_t present = 0;
  for (const auto& [name, value] : expected.entries) {
    if (value.kind != Value::Kind::absent) ++present;
    const std::string why = mismatch(value, actual.find(name), how, variables);
    if (!why.empty()) return fmt::format("{}: {}", name, why);
  }
  if (how == TableMatch::exact && actual.size() != present) {
    return fmt::format("{} entries expected, these came: {}", present, show(actual));
  }
  return {};
}

std::string mismatch_of_array(const Value& expected, const amqp::FieldArray& actual, TableMatch how,
                              const Variables& variables) {
  if (actual.size() != expected.items.size()) {
    return fmt::format("{} items expected, these came: {}", expected.items.size(), show(actual));
  }
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const std::string why = mismatch(expected.items[i], &actual[i], how, variables);
    if (!why.empty()) return fmt::format("[{}]: {}", i, why);
  }
  return {};
}

bool equal(const Value& expected, const amqp::FieldValue& wanted, const amqp::FieldValue& actual) {
  if (!expected.typed) {
    const auto a = amqp::as_integer(wanted);
    const auto b = amqp::as_integer(actual);
    if (a && b) return *a == *b;
    // A variable is a text, whatever it was.
    const auto* const text = wanted.get<std::string>();
    if (text != nullptr && b) return *text == std::to_string(*b);
  }
  return wanted == actual;
}

}  // namespace

std::string fill_in(std::string_view text, const Variables& variables) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = text.find("${", at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = text.find('}', begin);
    if (end == std::string_view::npos) break;
    out.append(text.substr(at, begin - at));
    const std::string name(text.substr(begin + 2, end - begin - 2));
    const auto found = variables.find(name);
    out.append(found == variables.end() ? fmt::format("<no variable {}>", name) : found->second);
    at = end + 1;
  }
  out.append(text.substr(at));
  return out;
}

amqp::FieldValue to_field_value(const Value& value, const Variables& variables) {
  switch (value.kind) {
    case Value::Kind::text:
      return {value.type, fill_in(value.text, variables)};
    case Value::Kind::other:
      return value.other;
    case Value::Kind::table: {
      amqp::FieldTable table;
      for (const auto& [name, entry] : value.entries) {
        table.append(name, to_field_value(entry, variables));
      }
      return table;
    }
    case Value::Kind::array: {
      amqp::FieldArray array;
      for (const Value& item : value.items) array.push_back(to_field_value(item, variables));
      return array;
    }
    case Value::Kind::any:
    case Value::Kind::absent:
      break;
  }
  WARREN_ASSERT(false);  // the script's reader lets no pattern through
  return {};
}

std::string mismatch(const Value& expected, const amqp::FieldValue* actual, TableMatch how,
                     const Variables& variables) {
  if (expected.kind == Value::Kind::absent) {
    return actual == nullptr ? std::string() : "expected none, came " + show(*actual);
  }
  if (actual == nullptr) return "is not there";
  if (expected.kind == Value::Kind::any) return {};
  if (expected.kind == Value::Kind::table) {
    if (const auto* const table = actual->get<amqp::FieldTable>()) {
      return mismatch_of_table(expected, *table, how, variables);
    }
    return "expected a table, came " + show(*actual);
  }
  if (expected.kind == Value::Kind::array) {
    if (const auto* const array = actual->get<amqp::FieldArray>()) {
      return mismatch_of_array(expected, *array, how, variables);
    }
    return "expected an array, came " + show(*actual);
  }
  const amqp::FieldValue wanted = to_field_value(expected, variables);
  if (equal(expected, wanted, *actual)) return {};
  return fmt::format("expected {}, came {}", show(wanted), show(*actual));
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + "\"";
}

std::string show_text(std::string_view text) {
  if (text.size() <= kShownBytesMax) return quote(text);
  return fmt::format("{}... ({} bytes)", quote(text.substr(0, kShownBytesMax)), text.size());
}

std::string show(const amqp::FieldValue& value) {
  if (const auto* const text = value.get<std::string>()) {
    return (value.type() == amqp::FieldType::bytes ? "x:" : "") + show_text(*text);
  }
  if (const auto* const table = value.get<amqp::FieldTable>()) {
    std::string out;
    for (const amqp::FieldEntry& entry : table->entries()) {
      out += fmt::format("{}{}={}", out.empty() ? "" : ", ", entry.name, show(entry.value));
    }
    return "{" + out + "}";
  }
  if (const auto* const array = value.get<amqp::FieldArray>()) {
    std::string out;
    for (const amqp::FieldValue& item : *array) out += (out.empty() ? "" : ", ") + show(item);
    return "[" + out + "]";
  }
  if (value.type() == amqp::FieldType::nothing) return "void";
  if (value.type() == amqp::FieldType::boolean) return amqp::to_text(value);
  return fmt::format("{}:{}", static_cast<char>(value.type()), amqp::to_text(value));
}

}  // namespace warren::conformance
