// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/export_lines.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/properties.h"
#include "server/broker/message.h"
#include "server/tools/dump/message_json.h"
#include "server/tools/dump/output.h"
#include "server/tools/dump/table_from_json.h"

namespace warren::dump {
namespace {

using boost::json::object;
using boost::json::value;

Error bad(std::string text) {
  return Error{Errc::invalid_argument, std::move(text)};
}

// Readable, and as it is on the wire, because type letters matter to equivalence.
void put_arguments(object& out, const std::string& content, const std::string& name = "arguments") {
  if (content.empty()) return;
  out[name] = table_json(content);
  out[name + "_wire"] = to_base64(content);
}

struct DefinitionLine {
  object operator()(const storage::VhostDefinition& vhost) const {
    object out{{"kind", "vhost"}};
    put_bytes(out, "name", vhost.name);
    return out;
  }
  object operator()(const storage::UserDefinition& user) const {
    object out{{"kind", "user"}};
    put_bytes(out, "name", user.name);
    put_bytes(out, "password_hash", user.password_hash);
    put_bytes(out, "hashing_algorithm", user.hashing_algorithm);
    boost::json::array tags;
    for (const std::string& tag : user.tags) {
      object one;
      put_bytes(one, "tag", tag);
      tags.push_back(std::move(one));
    }
    out["tags"] = std::move(tags);
    return out;
  }
  object operator()(const storage::PermissionDefinition& permission) const {
    object out{{"kind", "permission"}};
    put_bytes(out, "user", permission.user);
    put_bytes(out, "vhost", permission.vhost);
    put_bytes(out, "configure", permission.configure);
    put_bytes(out, "write", permission.write);
    put_bytes(out, "read", permission.read);
    return out;
  }
  object operator()(const storage::ExchangeDefinition& exchange) const {
    object out{{"kind", "exchange"}};
    put_bytes(out, "vhost", exchange.vhost);
    put_bytes(out, "name", exchange.name);
    put_bytes(out, "type", exchange.type);
    out["durable"] = exchange.durable;
    out["auto_delete"] = exchange.auto_delete;
    out["internal"] = exchange.internal;
    put_arguments(out, exchange.arguments);
    return out;
  }
  object operator()(const storage::QueueDefinition& queue) const {
    object out{{"kind", "queue"}};
    put_bytes(out, "vhost", queue.vhost);
    put_bytes(out, "name", queue.name);
    out["durable"] = queue.durable;
    out["exclusive"] = queue.exclusive;
    out["auto_delete"] = queue.auto_delete;
    put_arguments(out, queue.arguments);
    return out;
  }
  object operator()(const storage::BindingDefinition& binding) const {
    object out{{"kind", "binding"}};
    put_bytes(out, "vhost", binding.vhost);
    put_bytes(out, "source", binding.source);
    const bool to_queue = binding.destination_kind == storage::BindingDestination::queue;
    out["to"] = to_queue ? "queue" : "exchange";
    put_bytes(out, "destination", binding.destination);
    put_bytes(out, "routing_key", binding.routing_key);
    put_arguments(out, binding.arguments);
    return out;
  }
  object operator()(const storage::PolicyDefinition& policy) const {
    object out{{"kind", "policy"}};
    put_bytes(out, "vhost", policy.vhost);
    put_bytes(out, "name", policy.name);
    out["operator"] = policy.operator_policy;
    put_bytes(out, "pattern", policy.pattern);
    out["apply_to"] = storage::kPolicyTargetNames.at(static_cast<std::size_t>(policy.apply_to));
    out["priority"] = policy.priority;
    put_arguments(out, policy.definition, "definition");
    return out;
  }
};

// Reads the members of one line; remembers the first that is missing or malformed, and which were
// asked for: what nobody asks for is a slip of the pen.
class LineReader {
 public:
  explicit LineReader(const object& in) : in_(in) {}

  std::string bytes(std::string_view name, std::size_t bytes_max = SIZE_MAX) {
    know(name, "_base64");
    std::string out;
    if (!get_bytes(in_, name, out) || out.size() > bytes_max) fail(name);
    return out;
  }
  bool flag(std::string_view name, bool otherwise = false) {
    know(name);
    const value* const found = in_.if_contains(name);
    if (found == nullptr) return otherwise;
    if (!found->is_bool()) fail(name);
    return found->is_bool() && found->get_bool();
  }
  template <class T>
  T number(std::string_view name, T otherwise) {
    know(name);
    const value* const found = in_.if_contains(name);
    if (found == nullptr) return otherwise;
    boost::json::error_code error;
    const T out = found->to_number<T>(error);
    if (error) fail(name);
    return error ? otherwise : out;
  }
  // As put_arguments() writes them.
  std::string arguments(std::string_view name = "arguments") {
    know(name, "_wire");
    const std::string wire_name = std::string(name) + "_wire";
    if (in_.contains(wire_name)) {
      const std::string content = wire(wire_name);
      if (!amqp::valid_table(content)) fail(wire_name);
      return content;
    }
    const value* const found = in_.if_contains(name);
    if (found == nullptr) return {};
    if (found->is_object() && found->get_object().empty()) return {};
    auto content = found->is_object() ? table_content(found->get_object())
                                      : Result<std::string>(bad("no object"));
    if (!content.ok()) fail(name);
    return content.ok() ? content.take() : std::string();
  }
  std::string properties() {
    know("properties", "_wire");
    if (in_.contains("properties_wire")) {
      const std::string raw = wire("properties_wire");
      amqp::PropertiesView parsed;
      if (!amqp::parse_properties(raw, parsed)) fail("properties_wire");
      return raw;
    }
    const value* const found = in_.if_contains("properties");
    if (found == nullptr) return std::string(2, '\0');
    auto raw = found->is_object() ? properties_bytes(found->get_object())
                                  : Result<std::string>(bad("no object"));
    if (!raw.ok()) fail("properties");
    return raw.ok() ? raw.take() : std::string();
  }
  // A member that may be there, also with `suffix`. REQUIRES: literals.
  void know(std::string_view name, std::string_view suffix = "") {
    known_.emplace_back(name, suffix);
  }
  void fail(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
  }

  bool ok() const { return wrong_.empty(); }
  Error error() const { return bad(fmt::format("'{}' is missing or malformed", wrong_)); }
  // To be asked when all was read.
  Status all_known() const {
    for (const auto& member : in_) {
      const std::string_view name = member.key();
      const bool known = std::ranges::any_of(known_, [name](const auto& one) {
        if (!name.starts_with(one.first)) return false;
        const std::string_view rest = name.substr(one.first.size());
        return rest.empty() || rest == one.second;
      });
      if (!known) return bad(fmt::format("unknown member '{}'", printable(name)));
    }
    return {};
  }

 private:
  std::string wire(std::string_view name) {
    const value* const found = in_.if_contains(name);
    std::string out;
    if (!found->is_string() || !from_base64(std::string_view(found->get_string()), out)) fail(name);
    return out;
  }

  const object& in_;
  std::string wrong_;
  std::vector<std::pair<std::string_view, std::string_view>> known_;  // names, suffixes
};

storage::UserDefinition read_user(const object& in, LineReader& reader) {
  storage::UserDefinition user;
  user.name = reader.bytes("name");
  user.password_hash = reader.bytes("password_hash");
  user.hashing_algorithm = reader.bytes("hashing_algorithm");
  reader.know("tags");
  const value* const tags = in.if_contains("tags");
  if (tags == nullptr) return user;
  if (!tags->is_array()) {
    reader.fail("tags");
    return user;
  }
  for (const value& tag : tags->get_array()) {
    std::string text;
    if (tag.is_string()) {
      text = std::string_view(tag.get_string());
    } else if (!tag.is_object() || !get_bytes(tag.get_object(), "tag", text)) {
      reader.fail("tags");
    }
    user.tags.push_back(std::move(text));
  }
  return user;
}

storage::ExchangeDefinition read_exchange(LineReader& reader) {
  storage::ExchangeDefinition exchange;
  exchange.vhost = reader.bytes("vhost");
  exchange.name = reader.bytes("name");
  exchange.type = reader.bytes("type");
  exchange.durable = reader.flag("durable", true);
  exchange.auto_delete = reader.flag("auto_delete");
  exchange.internal = reader.flag("internal");
  exchange.arguments = reader.arguments();
  return exchange;
}

storage::QueueDefinition read_queue(LineReader& reader) {
  storage::QueueDefinition queue;
  queue.vhost = reader.bytes("vhost");
  queue.name = reader.bytes("name");
  queue.durable = reader.flag("durable", true);
  queue.exclusive = reader.flag("exclusive");
  queue.auto_delete = reader.flag("auto_delete");
  queue.arguments = reader.arguments();
  return queue;
}

storage::BindingDefinition read_binding(LineReader& reader) {
  storage::BindingDefinition binding;
  binding.vhost = reader.bytes("vhost");
  binding.source = reader.bytes("source");
  const std::string to = reader.bytes("to");
  if (to != "queue" && to != "exchange") reader.fail("to");
  binding.destination_kind =
      to == "exchange" ? storage::BindingDestination::exchange : storage::BindingDestination::queue;
  binding.destination = reader.bytes("destination");
  binding.routing_key = reader.bytes("routing_key");
  binding.arguments = reader.arguments();
  return binding;
}

storage::PolicyDefinition read_policy(LineReader& reader) {
  storage::PolicyDefinition policy;
  policy.vhost = reader.bytes("vhost");
  policy.name = reader.bytes("name");
  policy.operator_policy = reader.flag("operator");
  policy.pattern = reader.bytes("pattern");
  const auto& names = storage::kPolicyTargetNames;
  const auto* const target = std::find(names.begin(), names.end(), reader.bytes("apply_to"));
  if (target == names.end()) reader.fail("apply_to");
  policy.apply_to = static_cast<storage::PolicyTarget>(target - names.begin());
  policy.priority = reader.number<std::int32_t>("priority", 0);
  policy.definition = reader.arguments("definition");
  return policy;
}

ExportedMessage read_message(LineReader& reader, std::int64_t now_ms) {
  constexpr std::size_t kShortMax = amqp::kShortStringBytesMax;
  ExportedMessage message;
  message.vhost = reader.bytes("vhost");
  message.queue = reader.bytes("queue");
  message.lane = reader.number<std::uint32_t>("lane", 0);
  message.returns = reader.number<std::uint32_t>("returns", 0);
  message.seq = reader.number<std::uint64_t>("seq", 0);
  const std::string exchange = reader.bytes("exchange", kShortMax);
  const std::string routing_key = reader.bytes("routing_key", kShortMax);
  const std::string properties = reader.properties();
  const std::string body = reader.bytes("body");
  if (!reader.ok()) return message;
  broker::MessageHead head;
  head.priority = reader.number<std::uint8_t>("priority", 0);
  head.published_ms = reader.number<std::int64_t>("published_ms", now_ms);
  head.exchange = exchange;
  head.routing_key = routing_key;
  head.properties = properties;
  message.block = broker::start_message(head, body.size());
  // The flags as they were: what they mean is the broker's business. Imported messages are stored.
  message.block->data()[0] = static_cast<char>(reader.number<std::uint8_t>("flags", 1));
  if (!body.empty()) {
    body.copy(message.block->data() + message.block->size() - body.size(), body.size());
  }
  return message;
}

Result<ExportLine> read_line(const object& in, const std::string& kind, LineReader& reader,
                             std::int64_t now_ms) {
  if (kind == "vhost") {
    return ExportLine(storage::Definition(storage::VhostDefinition{reader.bytes("name")}));
  }
  if (kind == "user") return ExportLine(storage::Definition(read_user(in, reader)));
  if (kind == "permission") {
    storage::PermissionDefinition permission;
    permission.user = reader.bytes("user");
    permission.vhost = reader.bytes("vhost");
    permission.configure = reader.bytes("configure");
    permission.write = reader.bytes("write");
    permission.read = reader.bytes("read");
    return ExportLine(storage::Definition(std::move(permission)));
  }
  if (kind == "exchange") return ExportLine(storage::Definition(read_exchange(reader)));
  if (kind == "queue") return ExportLine(storage::Definition(read_queue(reader)));
  if (kind == "binding") return ExportLine(storage::Definition(read_binding(reader)));
  if (kind == "policy") return ExportLine(storage::Definition(read_policy(reader)));
  if (kind == "message") return ExportLine(read_message(reader, now_ms));
  if (kind == "end") return ExportLine(ExportEnd{reader.number<std::uint64_t>("messages", 0)});
  return bad(fmt::format("unknown kind '{}'", kind));
}

}  // namespace

object export_head(const std::string& store_id, std::int64_t now_ms) {
  return object{{"kind", "warren-export"},
                {"format", kExportFormat},
                {"store", store_id},
                {"exported", time_text(now_ms)}};
}

object export_definition(const storage::Definition& definition) {
  return std::visit(DefinitionLine(), definition);
}

object export_message(const ExportedMessage& message) {
  const broker::MessageView view(*message.block);
  object out{{"kind", "message"}};
  put_bytes(out, "vhost", message.vhost);
  put_bytes(out, "queue", message.queue);
  if (message.lane != 0) out["lane"] = message.lane;
  if (message.returns != 0) out["returns"] = message.returns;
  out["seq"] = message.seq;
  out["published_ms"] = view.published_ms();
  out["flags"] = static_cast<std::uint8_t>(message.block->data()[0]);
  out["priority"] = view.priority();
  put_bytes(out, "exchange", view.exchange());
  put_bytes(out, "routing_key", view.routing_key());
  out["properties"] = properties_json(view.properties());
  out["properties_wire"] = to_base64(view.properties());
  put_bytes(out, "body", view.body());
  return out;
}

object export_end(std::uint64_t messages) {
  return object{{"kind", "end"}, {"messages", messages}};
}

Result<ExportLine> parse_export_line(std::string_view line, std::int64_t now_ms) {
  boost::json::error_code error;
  const value parsed = boost::json::parse(line, error);
  if (error || !parsed.is_object()) return bad("no JSON object");
  const object& in = parsed.get_object();
  LineReader reader(in);
  const std::string kind = reader.bytes("kind");
  if (kind == "warren-export") {
    reader.know("exported");
    ExportHead head{reader.number<std::uint64_t>("format", 0), reader.bytes("store")};
    if (!reader.ok()) return reader.error();
    if (head.format > kExportFormat) {
      return Error{Errc::format_too_new, fmt::format("export format {}, this version knows up to "
                                                     "{}",
                                                     head.format, kExportFormat)};
    }
    WARREN_CHECK(reader.all_known());
    return ExportLine(std::move(head));
  }
  if (!reader.ok()) return reader.error();
  WARREN_TRY(ExportLine out, read_line(in, kind, reader, now_ms));
  if (!reader.ok()) return reader.error();
  WARREN_CHECK(reader.all_known());
  return out;
}

}  // namespace warren::dump
