// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/table_from_json.h"

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"
#include "server/tools/dump/output.h"

namespace warren::dump {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

Error bad(std::string text) {
  return Error{Errc::invalid_argument, std::move(text)};
}

// What JSON nests deeper than this the codec would refuse anyhow.
Result<amqp::FieldTable> to_table(const object& in, int depth);

Result<amqp::FieldValue> to_integer(std::int64_t number) {
  if (number >= std::numeric_limits<std::int32_t>::min() &&
      number <= std::numeric_limits<std::int32_t>::max()) {
    return amqp::FieldValue(static_cast<std::int32_t>(number));
  }
  return amqp::FieldValue(number);
}

// {"base64": ...} and its like; nothing when it is a table.
Result<std::optional<amqp::FieldValue>> to_special(const object& in) {
  using Out = std::optional<amqp::FieldValue>;
  if (in.size() != 1) return Out();
  const auto& [name, inner] = *in.begin();
  if (name == "base64" && inner.is_string()) {
    std::string bytes;
    if (!from_base64(std::string_view(inner.get_string()), bytes)) return bad("bad base64");
    return Out(amqp::FieldValue(std::move(bytes)));
  }
  if (name == "timestamp" && inner.is_number()) {
    boost::json::error_code error;
    const auto seconds = inner.to_number<std::uint64_t>(error);
    if (error) return bad("bad timestamp");
    return Out(amqp::FieldValue(amqp::Timestamp{seconds}));
  }
  if (name == "double" && inner.is_string()) {
    using Limits = std::numeric_limits<double>;
    const std::string_view text = inner.get_string();
    if (text == "nan") return Out(amqp::FieldValue(Limits::quiet_NaN()));
    if (text == "inf") return Out(amqp::FieldValue(Limits::infinity()));
    if (text == "-inf") return Out(amqp::FieldValue(-Limits::infinity()));
    return bad("bad double");
  }
  if (name == "decimal" && inner.is_object()) {
    boost::json::error_code error;
    amqp::Decimal decimal;
    const auto* const scale = inner.get_object().if_contains("scale");
    const auto* const unscaled = inner.get_object().if_contains("unscaled");
    if (scale == nullptr || unscaled == nullptr) return bad("bad decimal");
    decimal.scale = scale->to_number<std::uint8_t>(error);
    if (error) return bad("bad decimal");
    decimal.unscaled = unscaled->to_number<std::uint32_t>(error);
    if (error) return bad("bad decimal");
    return Out(amqp::FieldValue(amqp::FieldType::decimal, decimal));
  }
  return Out();
}

Result<amqp::FieldValue> to_value(const value& in, int depth) {
  if (depth > amqp::kTableDepthMax) return bad("nested too deep");
  switch (in.kind()) {
    case boost::json::kind::null:
      return amqp::FieldValue();
    case boost::json::kind::bool_:
      return amqp::FieldValue(in.get_bool());
    case boost::json::kind::int64:
      return to_integer(in.get_int64());
    case boost::json::kind::uint64:
      return bad("an integer above 2^63 - 1");
    case boost::json::kind::double_:
      return amqp::FieldValue(in.get_double());
    case boost::json::kind::string:
      return amqp::FieldValue(std::string_view(in.get_string()));
    case boost::json::kind::array: {
      amqp::FieldArray out;
      for (const value& each : in.get_array()) {
        WARREN_TRY(amqp::FieldValue one, to_value(each, depth + 1));
        out.push_back(std::move(one));
      }
      return amqp::FieldValue(std::move(out));
    }
    case boost::json::kind::object: {
      WARREN_TRY(std::optional<amqp::FieldValue> special, to_special(in.get_object()));
      if (special.has_value()) return std::move(*special);
      WARREN_TRY(amqp::FieldTable table, to_table(in.get_object(), depth + 1));
      return amqp::FieldValue(std::move(table));
    }
  }
  return bad("unknown value");
}

Result<amqp::FieldTable> to_table(const object& in, int depth) {
  amqp::FieldTable out;
  for (const auto& [name, each] : in) {
    if (name.size() > amqp::kShortStringBytesMax) return bad("a name of more than 255 bytes");
    WARREN_TRY(amqp::FieldValue one, to_value(each, depth));
    out.append(std::string(std::string_view(name)), std::move(one));
  }
  return out;
}

// Fills a PropertiesView; owns what it points to.
class PropertiesReader {
 public:
  explicit PropertiesReader(const object& in) : in_(in) {}

  Result<std::string> read() {
    texts_.reserve(10);
    text("content_type", out_.content_type);
    text("content_encoding", out_.content_encoding);
    headers();
    number("delivery_mode", out_.delivery_mode);
    number("priority", out_.priority);
    text("correlation_id", out_.correlation_id);
    text("reply_to", out_.reply_to);
    text("expiration", out_.expiration);
    text("message_id", out_.message_id);
    number("timestamp", out_.timestamp);
    text("type", out_.type);
    text("user_id", out_.user_id);
    text("app_id", out_.app_id);
    text("cluster_id", out_.cluster_id);
    if (error_.has_value()) return *error_;
    if (known_ != in_.size()) return bad("properties has an unknown name");
    std::string bytes;
    amqp::encode_properties(bytes, out_);
    return bytes;
  }

 private:
  void text(std::string_view name, std::optional<amqp::ShortString>& to) {
    if (!in_.contains(name) && !in_.contains(std::string(name) + "_base64")) return;
    ++known_;
    std::string value;
    if (!get_bytes(in_, name, value) || value.size() > amqp::kShortStringBytesMax) {
      fail(name);
      return;
    }
    texts_.push_back(std::move(value));
    to = amqp::ShortString(texts_.back());
  }
  template <class T>
  void number(std::string_view name, std::optional<T>& to) {
    const value* const found = in_.if_contains(name);
    if (found == nullptr) return;
    ++known_;
    boost::json::error_code error;
    to = found->to_number<T>(error);
    if (error) fail(name);
  }
  void headers() {
    const value* const found = in_.if_contains("headers");
    if (found == nullptr) return;
    ++known_;
    if (!found->is_object()) {
      fail("headers");
      return;
    }
    auto content = table_content(found->get_object());
    if (!content.ok()) {
      error_ = content.error();
      return;
    }
    headers_ = content.take();
    out_.headers = amqp::TableBytes(headers_);
  }
  void fail(std::string_view name) {
    error_ = bad(fmt::format("property '{}' is malformed", name));
  }

  const object& in_;
  amqp::PropertiesView out_;
  std::vector<std::string> texts_;  // what out_ points to; reserved, so that it stays where it is
  std::string headers_;
  std::size_t known_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<std::string> table_content(const object& in) {
  WARREN_TRY(const amqp::FieldTable table, to_table(in, 1));
  std::string out;
  amqp::encode_table(out, table);
  if (!amqp::valid_table(out)) return bad("a table that is too large or nested too deep");
  return out;
}

Result<std::string> properties_bytes(const object& in) {
  return PropertiesReader(in).read();
}

}  // namespace warren::dump
