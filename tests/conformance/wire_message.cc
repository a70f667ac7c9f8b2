// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/wire_message.h"

#include <array>
#include <cstdlib>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/amqp/frame_writer.h"
#include "server/amqp/properties.h"

namespace warren::conformance {
namespace {

// What scripts may say for the longer name.
constexpr std::pair<std::string_view, std::string_view> kShortNames[] = {
    {"tag", "delivery-tag"}, {"key", "routing-key"}, {"consumer", "consumer-tag"},
    {"code", "reply-code"},  {"text", "reply-text"},
};

std::string_view full_name(std::string_view name) {
  for (const auto& [brief, full] : kShortNames) {
    if (name == brief) return full;
  }
  return name;
}

constexpr std::array<std::string_view, 14> kPropertyNames = {
    "content-type",   "content-encoding", "headers",    "delivery-mode", "priority",
    "correlation-id", "reply-to",         "expiration", "message-id",    "timestamp",
    "type",           "user-id",          "app-id",     "cluster-id",
};

// Shows every property to `visit(index into kPropertyNames, reference)`.
template <class Properties, class Visit>
void visit_properties(Properties& p, Visit visit) {
  std::size_t i = 0;
  const auto each = [&](auto&... property) { (visit(i++, property), ...); };
  each(p.content_type, p.content_encoding, p.headers, p.delivery_mode, p.priority, p.correlation_id,
       p.reply_to, p.expiration, p.message_id, p.timestamp, p.type, p.user_id, p.app_id,
       p.cluster_id);
}

amqp::FieldValue from_wire(bool value) {
  return value;
}
template <class T>
requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) amqp::FieldValue from_wire(T value) {
  return static_cast<std::int64_t>(value);
}
amqp::FieldValue from_wire(amqp::ShortString value) {
  return value.value;
}
amqp::FieldValue from_wire(amqp::LongString value) {
  return value.value;
}
amqp::FieldValue from_wire(amqp::TableBytes value) {
  auto table = amqp::decode_table(value);
  WARREN_ASSERT(table.ok());  // checked when it was decoded
  return table.take();
}

// Puts a script's value into a field. Owns the bytes that the fields point at.
class Filler {
 public:
  explicit Filler(const Variables& variables) : variables_(variables) {}

  // False: the field cannot hold it.
  bool fill(const Argument& argument, bool& field) {
    if (argument.op == Argument::Operator::is_set) return field = true;
    if (argument.op == Argument::Operator::not_set) return !(field = false);
    const auto value = amqp::as_bool(plain(argument));
    if (value) field = *value;
    return value.has_value();
  }
  template <class T>
  requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) bool fill(const Argument& argument,
                                                                        T& field) {
    const amqp::FieldValue given = plain(argument);
    auto value = amqp::as_integer(given);
    if (const auto* const text = given.get<std::string>()) value = std::atoll(text->c_str());
    if (const auto* const time = given.get<amqp::Timestamp>()) {
      value = static_cast<std::int64_t>(time->seconds);
    }
    if (!value || !std::in_range<T>(*value)) return false;
    field = static_cast<T>(*value);
    return true;
  }
  bool fill(const Argument& argument, amqp::ShortString& field) {
    const auto* const text = keep_text(argument);
    if (text == nullptr || text->size() > amqp::kShortStringBytesMax) return false;
    field = amqp::ShortString(*text);
    return true;
  }
  bool fill(const Argument& argument, amqp::LongString& field) {
    const auto* const text = keep_text(argument);
    if (text != nullptr) field = amqp::LongString(*text);
    return text != nullptr;
  }
  bool fill(const Argument& argument, amqp::TableBytes& field) {
    if (argument.value.kind != Value::Kind::table) return false;
    const amqp::FieldValue table = to_field_value(argument.value, variables_);
    std::string& bytes = kept_.emplace_back();
    amqp::encode_table(bytes, *table.get<amqp::FieldTable>());
    field = amqp::TableBytes(bytes);
    return true;
  }
  template <class T>
  bool fill(const Argument& argument, std::optional<T>& field) {
    return fill(argument, field.emplace());
  }

  const std::string* keep_text(const Argument& argument) {
    const amqp::FieldValue value = plain(argument);
    const auto* const text = value.get<std::string>();
    return text == nullptr ? nullptr : &kept_.emplace_back(*text);
  }

 private:
  amqp::FieldValue plain(const Argument& argument) const {
    if (argument.op != Argument::Operator::equal) return {};
    if (argument.value.kind == Value::Kind::any) return {};
    return to_field_value(argument.value, variables_);
  }

  const Variables& variables_;
  std::deque<std::string> kept_;  // stays where it is
};

Error cannot_hold(std::string_view object, std::string_view name) {
  return Error{Errc::invalid_argument,
               fmt::format("{} has no '{}', or it cannot hold that", object, name)};
}

template <class M>
bool fill_field(Filler& filler, const Argument& argument, M& method) {
  bool filled = false;
  const std::string_view name = full_name(argument.name);
  std::size_t i = 0;
  const auto one = [&](auto member) {
    if (M::kFieldNames[i++] == name) filled = filler.fill(argument, method.*member);
  };
  std::apply([&](auto... members) { (one(members), ...); }, M::fields());
  return filled;
}

bool fill_property(Filler& filler, const Argument& argument, amqp::PropertiesView& properties) {
  bool filled = false;
  const std::string_view name = full_name(argument.name);
  visit_properties(properties, [&](std::size_t i, auto& property) {
    if (kPropertyNames[i] == name) filled = filler.fill(argument, property);
  });
  return filled;
}

// Calls visit(M{}) for the method of that name; false if there is none.
template <std::size_t I = 0, class Visit>
bool with_method(std::string_view name, Visit visit) {
  if constexpr (I < std::variant_size_v<amqp::AnyMethod>) {
    using M = std::variant_alternative_t<I, amqp::AnyMethod>;
    if (M::kName != name) return with_method<I + 1>(name, visit);
    visit(M{});
    return true;
  }
  return false;
}

template <class M>
std::optional<amqp::FieldValue> method_field(const M& method, std::string_view name) {
  std::optional<amqp::FieldValue> found;
  std::size_t i = 0;
  const auto one = [&](auto member) {
    if (M::kFieldNames[i++] == name) found = from_wire(method.*member);
  };
  std::apply([&](auto... members) { (one(members), ...); }, M::fields());
  if constexpr (requires { method.class_id; }) {
    if (name == "method") found = amqp::method_name(method.class_id, method.method_id);
  }
  return found;
}

}  // namespace

std::optional<amqp::FieldValue> field_of(const Message& message, std::string_view given) {
  const std::string_view name = full_name(given);
  if (name == "body" && message.body_size) return message.body;
  amqp::AnyMethod method;
  const auto decoded = amqp::decode_method(message.payload, method);
  WARREN_ASSERT(decoded == amqp::MethodDecode::ok);
  auto found = std::visit([name](const auto& m) { return method_field(m, name); }, method);
  if (found || !message.body_size) return found;
  amqp::PropertiesView properties;
  const bool parsed = amqp::parse_properties(message.properties, properties);
  WARREN_ASSERT(parsed);
  visit_properties(properties, [&](std::size_t i, const auto& property) {
    if (kPropertyNames[i] == name && property) found = from_wire(*property);
  });
  return found;
}

std::string show(const Message& message) {
  std::string out(message.name());
  const auto add = [&](std::string_view name) {
    if (const auto value = field_of(message, name))
      out += fmt::format(" {}={}", name, show(*value));
  };
  with_method(message.name(), [&]<class M>(M) {
    for (const std::string_view name : M::kFieldNames) {
      if (name != "class-id" && name != "method-id") add(name);
    }
  });
  add("method");
  if (message.body_size) {
    for (const std::string_view name : kPropertyNames) add(name);
    add("body");
  }
  return out;
}

Result<std::string> method_frame(std::string_view name, std::uint16_t channel,
                                 const std::vector<Argument>& arguments,
                                 const Variables& variables) {
  std::string out;
  std::string bad;
  const bool known = with_method(name, [&](auto method) {
    Filler filler(variables);
    for (const Argument& argument : arguments) {
      if (!fill_field(filler, argument, method)) bad = argument.name;
    }
    if (bad.empty()) amqp::append_method_frame(out, channel, method);
  });
  if (!known) return Error{Errc::invalid_argument, fmt::format("no method '{}'", name)};
  if (!bad.empty()) return cannot_hold(name, bad);
  return out;
}

Result<std::string> publish_frames(std::uint16_t channel, const std::vector<Argument>& arguments,
                                   std::uint32_t frame_max, const Variables& variables) {
  Filler filler(variables);
  amqp::BasicPublish publish;
  amqp::PropertiesView properties;
  std::string body;
  for (const Argument& argument : arguments) {
    if (argument.name == "body") {
      const std::string* const text = filler.keep_text(argument);
      if (text == nullptr) return cannot_hold("basic.publish", "body");
      body = *text;
    } else if (!fill_field(filler, argument, publish) &&
               !fill_property(filler, argument, properties)) {
      return cannot_hold("basic.publish", argument.name);
    }
  }
  std::string out;
  amqp::append_method_frame(out, channel, publish);
  std::string raw;
  amqp::encode_properties(raw, properties);
  amqp::append_header_frame(out, channel, amqp::kClassBasic, body.size(), raw);
  amqp::append_body_frames(out, channel, body, frame_max);
  return out;
}

std::string answer_name(std::string_view method) {
  const std::string name = std::string(method) + "-ok";
  return with_method(name, [](auto) {}) ? name : std::string();
}

}  // namespace warren::conformance
