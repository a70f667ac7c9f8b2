// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/arguments.h"

#include <charconv>
#include <optional>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"

namespace warren::perf {
namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

amqp::FieldValue guess(const std::string& text) {
  if (text == "true" || text == "false") return amqp::FieldValue(text == "true");
  if (const auto integer = number<std::int64_t>(text)) return amqp::FieldValue(*integer);
  if (const auto real = number<double>(text)) return amqp::FieldValue(*real);
  return amqp::FieldValue(text);
}

std::optional<amqp::FieldValue> of_type(const std::string& type, const std::string& text) {
  if (type == "string") return amqp::FieldValue(text);
  if (type == "bool" && (text == "true" || text == "false")) {
    return amqp::FieldValue(text == "true");
  }
  if (type == "int") {
    if (const auto integer = number<std::int64_t>(text)) return amqp::FieldValue(*integer);
  }
  if (type == "double") {
    if (const auto real = number<double>(text)) return amqp::FieldValue(*real);
  }
  return std::nullopt;
}

amqp::FieldValue from_json(const boost::json::value& value) {
  if (value.is_bool()) return amqp::FieldValue(value.get_bool());
  if (value.is_int64()) return amqp::FieldValue(value.get_int64());
  if (value.is_uint64()) return amqp::FieldValue(static_cast<std::int64_t>(value.get_uint64()));
  if (value.is_double()) return amqp::FieldValue(value.get_double());
  if (value.is_string()) return amqp::FieldValue(std::string(value.get_string()));
  if (value.is_array()) {
    amqp::FieldArray array;
    for (const auto& element : value.get_array()) array.push_back(from_json(element));
    return amqp::FieldValue(std::move(array));
  }
  if (!value.is_object()) return {};
  amqp::FieldTable table;
  for (const auto& member : value.get_object()) table.set(member.key(), from_json(member.value()));
  return amqp::FieldValue(std::move(table));
}

Error bad_argument(std::string_view item) {
  return Error{Errc::invalid_argument,
               fmt::format("'{}' is not NAME=VALUE, NAME:TYPE=VALUE (string, int, double, bool) "
                           "or a JSON object",
                           item)};
}

Status add_json(const std::string& text, amqp::FieldTable& table) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return bad_argument(text);
  for (const auto& member : value.get_object()) {
    if (member.key().size() > 255) return bad_argument(text);
    table.set(member.key(), from_json(member.value()));
  }
  return {};
}

Status add_item(const std::string& item, amqp::FieldTable& table) {
  const std::size_t equals = item.find('=');
  if (equals == 0 || equals == item.npos || equals > 255) return bad_argument(item);
  const std::string name = item.substr(0, equals);
  const std::string text = item.substr(equals + 1);
  const std::size_t colon = name.rfind(':');
  if (colon == name.npos) {
    table.set(name, guess(text));
    return {};
  }
  const std::optional<amqp::FieldValue> value = of_type(name.substr(colon + 1), text);
  if (!value) return bad_argument(item);
  table.set(name.substr(0, colon), *value);
  return {};
}

template <class F>
Status each_item(const std::string& text, F use) {
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    WARREN_CHECK(use(text.substr(at, comma - at)));
    at = comma + 1;
  }
  return {};
}

using Setter = void (*)(amqp::PropertiesView&, const std::string&);

template <std::optional<amqp::ShortString> amqp::PropertiesView::*member>
void set_text(amqp::PropertiesView& view, const std::string& text) {
  view.*member = amqp::ShortString{text};
}

struct Property {
  std::string_view name;
  Setter set;
  std::uint64_t max;  // 0: a text
};

constexpr Property kProperties[] = {
    {"content_type", set_text<&amqp::PropertiesView::content_type>, 0},
    {"content_encoding", set_text<&amqp::PropertiesView::content_encoding>, 0},
    {"correlation_id", set_text<&amqp::PropertiesView::correlation_id>, 0},
    {"reply_to", set_text<&amqp::PropertiesView::reply_to>, 0},
    {"expiration", set_text<&amqp::PropertiesView::expiration>, 0},
    {"message_id", set_text<&amqp::PropertiesView::message_id>, 0},
    {"type", set_text<&amqp::PropertiesView::type>, 0},
    {"user_id", set_text<&amqp::PropertiesView::user_id>, 0},
    {"app_id", set_text<&amqp::PropertiesView::app_id>, 0},
    {"priority",
     [](amqp::PropertiesView& view, const std::string& text) {
       view.priority = number<std::uint8_t>(text);
     },
     255},
    {"timestamp",
     [](amqp::PropertiesView& view, const std::string& text) {
       view.timestamp = number<std::uint64_t>(text);
     },
     UINT64_MAX},
};

const Property* find_property(std::string_view name) {
  for (const Property& property : kProperties) {
    if (property.name == name) return &property;
  }
  return nullptr;
}

}  // namespace

Result<amqp::FieldTable> parse_arguments(const std::vector<std::string>& texts) {
  amqp::FieldTable table;
  for (const std::string& text : texts) {
    if (text.starts_with('{')) {
      WARREN_CHECK(add_json(text, table));
      continue;
    }
    WARREN_CHECK(each_item(text, [&](const std::string& item) { return add_item(item, table); }));
  }
  return table;
}

Result<MessageProperties> MessageProperties::parse(const std::vector<std::string>& properties,
                                                   const std::vector<std::string>& headers) {
  MessageProperties out;
  const auto add = [&out](const std::string& item) -> Status {
    const std::size_t equals = item.find('=');
    const std::string name = item.substr(0, equals);
    const Property* const property = find_property(name);
    const std::string value = equals == item.npos ? "" : item.substr(equals + 1);
    const auto count = number<std::uint64_t>(value);
    const bool fits = property != nullptr &&
                      (property->max == 0 ? value.size() <= 255 : count && *count <= property->max);
    if (equals == item.npos || !fits) {
      std::string names;
      for (const Property& known : kProperties) names += fmt::format(" {}", known.name);
      return Error{
          Errc::invalid_argument,
          fmt::format("'{}' is no property: write NAME=VALUE, with one of{}", item, names)};
    }
    out.texts.emplace_back(name, value);
    return {};
  };
  for (const std::string& text : properties) WARREN_CHECK(each_item(text, add));
  WARREN_TRY(const amqp::FieldTable table, parse_arguments(headers));
  if (!table.empty()) amqp::encode_table(out.headers, table);
  return out;
}

std::string MessageProperties::encode(bool persistent, int priority) const {
  amqp::PropertiesView view;
  view.delivery_mode = persistent ? amqp::kDeliveryModePersistent : amqp::kDeliveryModeTransient;
  for (const auto& [name, value] : texts) find_property(name)->set(view, value);
  if (!headers.empty()) view.headers = amqp::TableBytes{headers};
  if (priority >= 0) view.priority = static_cast<std::uint8_t>(priority);
  std::string raw;
  amqp::encode_properties(raw, view);
  return raw;
}

Result<Priorities> Priorities::parse(const std::string& text) {
  Priorities out;
  if (text.empty()) return out;
  const std::size_t dash = text.find('-');
  const auto from = number<std::uint8_t>(std::string_view(text).substr(0, dash));
  const auto to =
      dash == text.npos ? from : number<std::uint8_t>(std::string_view(text).substr(dash + 1));
  if (!from || !to || *to < *from) {
    return Error{Errc::invalid_argument,
                 fmt::format("'{}' is no priority: write 5, or 0-9 for each in turn", text)};
  }
  out.from = *from;
  out.to = *to;
  return out;
}

}  // namespace warren::perf
