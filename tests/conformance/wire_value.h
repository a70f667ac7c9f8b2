// SPDX-License-Identifier: Apache-2.0
// Values as wire scripts write them: what is sent, and what an answer is held against. README.md
// has the syntax.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/amqp/field_value.h"

namespace warren::conformance {

// What `=>$name` has kept, and the counter of a `repeat`.
using Variables = std::map<std::string, std::string>;

struct NamedValue;

// A value, or a pattern for one.
struct Value {
  enum class Kind {
    text,    // with ${variables} in it
    other,   // number, boolean, void, decimal, timestamp
    table,   // of `entries`
    array,   // of `items`
    any,     // pattern: some value is there
    absent,  // pattern: no value is there
  };

  Kind kind = Kind::any;
  // The letter was written: it has to be the same. A bare number is equal to any integer.
  bool typed = false;
  amqp::FieldType type = amqp::FieldType::longstr;  // of a text: longstr or bytes
  std::string text;
  amqp::FieldValue other;
  std::vector<NamedValue> entries;
  std::vector<Value> items;
};

struct NamedValue {
  std::string name;
  Value value;
};

enum class TableMatch {
  exact,
  subset,  // other entries may be there as well
};

// Replaces ${name}. Errors of the script (an unknown name) come out as text that nothing equals.
std::string fill_in(std::string_view text, const Variables& variables);

// REQUIRES: no pattern in it.
amqp::FieldValue to_field_value(const Value& value, const Variables& variables);

// Empty when `actual` (nullptr: not there) fits, else what does not: "headers.x: ...".
std::string mismatch(const Value& expected, const amqp::FieldValue* actual, TableMatch how,
                     const Variables& variables);

// For messages to people; long texts are cut.
std::string show(const amqp::FieldValue& value);
std::string show_text(std::string_view text);
// As a script writes it.
std::string quote(std::string_view text);

}  // namespace warren::conformance
