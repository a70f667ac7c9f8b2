// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/message_json.h"

#include <cmath>
#include <utility>

#include <boost/json/array.hpp>

#include "server/amqp/field_table_codec.h"
#include "server/tools/dump/output.h"

namespace warren::dump {
namespace {

struct ToJson {
  boost::json::value operator()(std::monostate) const { return nullptr; }
  boost::json::value operator()(bool value) const { return value; }
  boost::json::value operator()(std::int64_t value) const { return value; }
  boost::json::value operator()(float value) const { return (*this)(double{value}); }
  boost::json::value operator()(double value) const {
    if (std::isfinite(value)) return value;
    const char* const name = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return boost::json::object{{"double", name}};  // JSON has no number for it
  }
  boost::json::value operator()(const amqp::Decimal& value) const {
    return boost::json::object{
        {"decimal", boost::json::object{{"scale", value.scale}, {"unscaled", value.unscaled}}}};
  }
  boost::json::value operator()(const amqp::Timestamp& value) const {
    return boost::json::object{{"timestamp", value.seconds}};
  }
  boost::json::value operator()(const std::string& value) const {
    if (is_utf8(value)) return boost::json::string(value);
    return boost::json::object{{"base64", to_base64(value)}};
  }
  boost::json::value operator()(const amqp::FieldArray& values) const {
    boost::json::array out;
    for (const amqp::FieldValue& value : values) out.push_back(to_json(value));
    return out;
  }
  boost::json::value operator()(const amqp::FieldTable& table) const { return to_json(table); }
};

}  // namespace

boost::json::value to_json(const amqp::FieldValue& value) {
  return std::visit(ToJson(), value.data());
}

boost::json::object to_json(const amqp::FieldTable& table) {
  boost::json::object out;
  for (const amqp::FieldEntry& entry : table.entries()) {
    const std::string name = is_utf8(entry.name) ? entry.name : to_base64(entry.name);
    // Of a name that is there twice AMQP readers see the first.
    if (!out.contains(name)) out.emplace(name, to_json(entry.value));
  }
  return out;
}

boost::json::object table_json(Bytes content) {
  const auto table = amqp::decode_table(content);
  if (table.ok()) return to_json(*table);
  return boost::json::object{{"undecodable_base64", to_base64(content)}};
}

boost::json::object properties_json(Bytes raw) {
  boost::json::object out;
  amqp::PropertiesView properties;
  if (!amqp::parse_properties(raw, properties)) {
    out["undecodable_base64"] = to_base64(raw);
    return out;
  }
  const auto text = [&out](std::string_view name, const std::optional<amqp::ShortString>& value) {
    if (value.has_value()) put_bytes(out, name, value->value);
  };
  text("content_type", properties.content_type);
  text("content_encoding", properties.content_encoding);
  if (properties.headers.has_value()) out["headers"] = table_json(properties.headers->value);
  if (properties.delivery_mode.has_value()) out["delivery_mode"] = *properties.delivery_mode;
  if (properties.priority.has_value()) out["priority"] = *properties.priority;
  text("correlation_id", properties.correlation_id);
  text("reply_to", properties.reply_to);
  text("expiration", properties.expiration);
  text("message_id", properties.message_id);
  if (properties.timestamp.has_value()) out["timestamp"] = *properties.timestamp;
  text("type", properties.type);
  text("user_id", properties.user_id);
  text("app_id", properties.app_id);
  text("cluster_id", properties.cluster_id);
  return out;
}

boost::json::object message_json(Seq seq, const broker::MessageView& message) {
  boost::json::object out;
  out["seq"] = seq;
  out["published"] = time_text(message.published_ms());
  put_bytes(out, "exchange", message.exchange());
  put_bytes(out, "routing_key", message.routing_key());
  out["properties"] = properties_json(message.properties());
  put_bytes(out, "body", message.body());
  return out;
}

}  // namespace warren::dump
