// SPDX-License-Identifier: Apache-2.0
// One line of a wire script, piece by piece. The first thing that does not fit is the error; what
// is read after it does not matter.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"

#include "tests/conformance/wire_script.h"

namespace warren::conformance {

class LineReader {
 public:
  explicit LineReader(std::string_view line) : line_(line) {}

  const std::string& error() const { return error_; }
  void fail(std::string why);

  // Nothing but blanks and a comment is left.
  bool at_end();
  // A word like queue.declare or 50ms; the error if there is none.
  std::string word();
  std::uint64_t number();
  // "a" or "a.1".
  void target(Step& step);
  // Until the end or until "->"; true when there was one.
  bool arguments(std::vector<Argument>& out);
  // "50ms", "2s".
  Duration duration();
  // Hexadecimal octets and quoted text, until the end.
  std::string bytes();

 private:
  char peek() const { return at_ < line_.size() ? line_[at_] : '\0'; }
  bool take(std::string_view token);
  void skip_blanks();
  std::string name();
  std::string quoted();
  Argument argument();
  Value value();
  Value text_value(amqp::FieldType type, bool typed);
  Value table();
  Value array();
  void array_item(Value& array);
  Value bare_number();
  Value typed_value(char letter);
  std::string digits();

  std::string_view line_;
  std::size_t at_ = 0;
  std::string error_;
};

}  // namespace warren::conformance
