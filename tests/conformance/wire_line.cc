// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/wire_line.h"

#include <cctype>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

namespace warren::conformance {
namespace {

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Value other(amqp::FieldValue value, bool typed) {
  Value out;
  out.kind = Value::Kind::other;
  out.typed = typed;
  out.other = std::move(value);
  return out;
}

template <class T>
T parse(std::string_view digits) {
  T value{};
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace

void LineReader::fail(std::string why) {
  if (error_.empty()) error_ = fmt::format("{} (column {})", why, at_ + 1);
  at_ = line_.size();
}

void LineReader::skip_blanks() {
  while (peek() == ' ' || peek() == '\t') ++at_;
  if (peek() == '#') at_ = line_.size();
}

bool LineReader::at_end() {
  skip_blanks();
  return at_ == line_.size();
}

bool LineReader::take(std::string_view token) {
  if (!line_.substr(at_).starts_with(token)) return false;
  at_ += token.size();
  return true;
}

std::string LineReader::name() {
  const std::size_t begin = at_;
  while (is_name_char(peek())) ++at_;
  return std::string(line_.substr(begin, at_ - begin));
}

std::string LineReader::word() {
  skip_blanks();
  std::string out = name();
  if (out.empty()) fail("a word is missing");
  return out;
}

std::uint64_t LineReader::number() {
  skip_blanks();
  const std::string text = digits();
  if (text.empty() || text[0] == '-') fail("a number is missing");
  return parse<std::uint64_t>(text);
}

void LineReader::target(Step& step) {
  const std::string text = word();
  const std::size_t dot = text.find('.');
  step.connection = text.substr(0, dot);
  if (dot == std::string::npos) return;
  const std::string channel = text.substr(dot + 1);
  if (channel.empty() || channel.find_first_not_of("0123456789") != std::string::npos) {
    return fail("a target is CONNECTION or CONNECTION.CHANNEL");
  }
  step.channel = parse<int>(channel);
}

bool LineReader::arguments(std::vector<Argument>& out) {
  while (!at_end()) {
    if (take("->")) return true;
    out.push_back(argument());
  }
  return false;
}

Argument LineReader::argument() {
  using Operator = Argument::Operator;
  Argument out;
  if (take("!")) {
    out.op = Operator::not_set;
    out.name = name();
    if (out.name.empty()) fail("a name is missing");
    return out;
  }
  if (peek() == '"' || std::isdigit(static_cast<unsigned char>(peek())) != 0) {
    out.value = value();
    return out;
  }
  out.name = name();
  if (out.name.empty()) fail("not an argument");
  if (take("=>$")) {
    out.op = Operator::capture;
    out.variable = name();
  } else if (take("=")) {
    out.value = value();
  } else if (take("~")) {
    out.op = Operator::contains;
    out.value = value();
  } else if (take("!=")) {
    out.op = Operator::differs;
    out.value = value();
  } else {
    out.op = Operator::is_set;
  }
  return out;
}

// "text", or "text"*1000: a thousand times.
std::string LineReader::quoted() {
  std::string out;
  if (!take("\"")) fail("a quoted text is missing");
  while (!take("\"")) {
    if (at_ >= line_.size()) {
      fail("the text has no end");
      return {};
    }
    char c = line_[at_++];
    if (c == '\\') {
      c = peek();
      ++at_;
      if (c == 'n') c = '\n';
      if (c == 'r') c = '\r';
      if (c == '0') c = '\0';
      if (c == 'x') {
        const int high = hex_digit(peek());
        const int low = at_ + 1 < line_.size() ? hex_digit(line_[at_ + 1]) : -1;
        if (high < 0 || low < 0) fail("\\x wants two hexadecimal digits");
        c = static_cast<char>(high * 16 + low);
        at_ += 2;
      }
    }
    out.push_back(c);
  }
  if (!take("*")) return out;
  std::string all;
  for (auto times = parse<std::uint64_t>(digits()); times > 0 && error_.empty(); --times) {
    all += out;
  }
  return all;
}

Value LineReader::text_value(amqp::FieldType type, bool typed) {
  Value out;
  out.kind = Value::Kind::text;
  out.type = type;
  out.typed = typed;
  out.text = quoted();
  return out;
}

Value LineReader::value() {
  if (peek() == '"') return text_value(amqp::FieldType::longstr, false);
  if (peek() == '{') return table();
  if (peek() == '[') return array();
  if (peek() == '-' || std::isdigit(static_cast<unsigned char>(peek())) != 0) return bare_number();
  if (take("$")) {
    Value out;
    out.kind = Value::Kind::text;
    out.text = "${" + name() + "}";
    return out;
  }
  if (at_ + 1 < line_.size() && line_[at_ + 1] == ':') {
    const char letter = line_[at_];
    at_ += 2;
    return typed_value(letter);
  }
  const std::string text = name();
  if (text == "true" || text == "false") return other(text == "true", true);
  if (text == "void") return other({}, true);
  Value out;
  if (text == "absent") out.kind = Value::Kind::absent;
  if (text != "any" && text != "absent") fail(fmt::format("not a value: '{}'", text));
  return out;
}

std::string LineReader::digits() {
  const std::size_t begin = at_;
  if (peek() == '-') ++at_;
  while (std::isdigit(static_cast<unsigned char>(peek())) != 0) ++at_;
  return std::string(line_.substr(begin, at_ - begin));
}

Value LineReader::bare_number() {
  const auto number = parse<std::int64_t>(digits());
  const bool fits = number >= INT32_MIN && number <= INT32_MAX;
  return other(fits ? amqp::FieldValue(static_cast<std::int32_t>(number)) : number, false);
}

Value LineReader::typed_value(char letter) {
  const auto type = static_cast<amqp::FieldType>(letter);
  switch (letter) {
    case 'S':
    case 'x':
      return text_value(type, true);
    case 'b':
    case 'B':
    case 's':
    case 'u':
    case 'I':
    case 'i':
    case 'l':
    case 'L':
      return other({type, parse<std::int64_t>(digits())}, true);
    case 'T':
      return other(amqp::Timestamp{parse<std::uint64_t>(digits())}, true);
    case 'D': {
      const auto scale = parse<std::uint8_t>(digits());
      if (!take("/")) fail("a decimal is D:SCALE/NUMBER");
      return other({type, amqp::Decimal{scale, parse<std::uint32_t>(digits())}}, true);
    }
    case 'f':
    case 'd': {
      const std::size_t begin = at_;
      while (is_name_char(peek())) ++at_;
      const double number =
          std::strtod(std::string(line_.substr(begin, at_ - begin)).c_str(), nullptr);
      return letter == 'd' ? other(number, true) : other({type, static_cast<float>(number)}, true);
    }
  }
  fail(fmt::format("no type has the letter '{}'", letter));
  return {};
}

Value LineReader::table() {
  Value out;
  out.kind = Value::Kind::table;
  at_ += 1;
  while (error_.empty()) {
    while (peek() == ' ' || peek() == ',') ++at_;
    if (take("}")) break;
    std::string key = peek() == '"' ? quoted() : name();
    if (!take("=")) {
      fail("a table is {name=value, ...}");
      break;
    }
    out.entries.push_back(NamedValue{std::move(key), value()});
  }
  return out;
}

Value LineReader::array() {
  Value out;
  out.kind = Value::Kind::array;
  at_ += 1;
  while (error_.empty()) {
    while (peek() == ' ' || peek() == ',') ++at_;
    if (take("]")) break;
    if (at_ >= line_.size()) {
      fail("the array has no end");
      break;
    }
    array_item(out);
  }
  return out;
}

// 1..5 stands for five numbers.
void LineReader::array_item(Value& array) {
  array.items.push_back(value());
  if (!take("..")) return;
  const auto first = amqp::as_integer(array.items.back().other);
  const auto last = parse<std::int64_t>(digits());
  if (!first || last < *first || last - *first > 10'000) return fail("not a range");
  for (std::int64_t i = *first + 1; i <= last; ++i) {
    array.items.push_back(other(static_cast<std::int32_t>(i), false));
  }
}

Duration LineReader::duration() {
  const std::uint64_t count = number();
  const std::string unit = name();
  if (unit == "ms") return std::chrono::milliseconds(count);
  if (unit == "s") return std::chrono::seconds(count);
  fail("a duration ends in ms or s");
  return {};
}

std::string LineReader::bytes() {
  std::string out;
  while (!at_end()) {
    if (peek() == '"') {
      out += quoted();
      continue;
    }
    const int high = hex_digit(peek());
    const int low = at_ + 1 < line_.size() ? hex_digit(line_[at_ + 1]) : -1;
    if (high < 0 || low < 0) {
      fail("bytes are pairs of hexadecimal digits (lower case), or quoted");
      break;
    }
    out.push_back(static_cast<char>(high * 16 + low));
    at_ += 2;
  }
  return out;
}

}  // namespace warren::conformance
