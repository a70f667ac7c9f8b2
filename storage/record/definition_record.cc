// SPDX-License-Identifier: Apache-2.0
#include "storage/record/definition_record.h"

#include <algorithm>

#include "storage/record/envelope.h"
#include "storage/record/keys.h"

#include "warren/definitions.pb.h"

namespace warren::storage {
namespace {

constexpr std::uint8_t kVersion = 1;

std::string to_bytes(const VhostDefinition& vhost) {
  proto::Vhost out;
  out.set_name(vhost.name);
  return out.SerializeAsString();
}

std::string to_bytes(const UserDefinition& user) {
  proto::User out;
  out.set_name(user.name);
  out.set_password_hash(user.password_hash);
  out.set_hashing_algorithm(user.hashing_algorithm);
  for (const std::string& tag : user.tags) out.add_tags(tag);
  return out.SerializeAsString();
}

std::string to_bytes(const PermissionDefinition& permission) {
  proto::Permission out;
  out.set_user(permission.user);
  out.set_vhost(permission.vhost);
  out.set_configure(permission.configure);
  out.set_write(permission.write);
  out.set_read(permission.read);
  return out.SerializeAsString();
}

std::string to_bytes(const ExchangeDefinition& exchange) {
  proto::Exchange out;
  out.set_vhost(exchange.vhost);
  out.set_name(exchange.name);
  out.set_type(exchange.type);
  out.set_durable(exchange.durable);
  out.set_auto_delete(exchange.auto_delete);
  out.set_internal(exchange.internal);
  out.set_arguments(exchange.arguments);
  return out.SerializeAsString();
}

std::string to_bytes(const QueueDefinition& queue) {
  proto::Queue out;
  out.set_vhost(queue.vhost);
  out.set_name(queue.name);
  out.set_log(queue.log.value);
  if (queue.log_count > 1) out.set_log_count(queue.log_count);
  out.set_durable(queue.durable);
  out.set_exclusive(queue.exclusive);
  out.set_auto_delete(queue.auto_delete);
  out.set_arguments(queue.arguments);
  return out.SerializeAsString();
}

std::string to_bytes(const BindingDefinition& binding) {
  proto::Binding out;
  out.set_vhost(binding.vhost);
  out.set_source(binding.source);
  out.set_destination_kind(static_cast<std::uint32_t>(binding.destination_kind));
  out.set_destination(binding.destination);
  out.set_routing_key(binding.routing_key);
  out.set_arguments(binding.arguments);
  return out.SerializeAsString();
}

std::string to_bytes(const PolicyDefinition& policy) {
  proto::Policy out;
  out.set_vhost(policy.vhost);
  out.set_operator_policy(policy.operator_policy);
  out.set_name(policy.name);
  out.set_pattern(policy.pattern);
  out.set_apply_to(static_cast<std::uint32_t>(policy.apply_to));
  out.set_priority(policy.priority);
  out.set_definition(policy.definition);
  return out.SerializeAsString();
}

bool from_proto(const proto::Vhost& in, Definition& out) {
  out = VhostDefinition{in.name()};
  return true;
}

bool from_proto(const proto::User& in, Definition& out) {
  UserDefinition user{in.name(), in.password_hash(), in.hashing_algorithm(), {}};
  user.tags.assign(in.tags().begin(), in.tags().end());
  out = std::move(user);
  return true;
}

bool from_proto(const proto::Permission& in, Definition& out) {
  out = PermissionDefinition{in.user(), in.vhost(), in.configure(), in.write(), in.read()};
  return true;
}

bool from_proto(const proto::Exchange& in, Definition& out) {
  out = ExchangeDefinition{in.vhost(),       in.name(),     in.type(),     in.durable(),
                           in.auto_delete(), in.internal(), in.arguments()};
  return true;
}

bool from_proto(const proto::Queue& in, Definition& out) {
  out = QueueDefinition{in.vhost(),      in.name(),
                        LogId(in.log()), in.durable(),
                        in.exclusive(),  in.auto_delete(),
                        in.arguments(),  std::max<std::uint32_t>(in.log_count(), 1)};
  return in.log() != 0 && in.log_count() <= kLogsPerQueueMax;
}

bool from_proto(const proto::Binding& in, Definition& out) {
  if (in.destination_kind() > 1) return false;
  out = BindingDefinition{
      in.vhost(),       in.source(),      static_cast<BindingDestination>(in.destination_kind()),
      in.destination(), in.routing_key(), in.arguments()};
  return true;
}

bool from_proto(const proto::Policy& in, Definition& out) {
  if (in.apply_to() >= kPolicyTargetNames.size()) return false;
  out = PolicyDefinition{in.vhost(),    in.operator_policy(), in.name(),
                         in.pattern(),  static_cast<PolicyTarget>(in.apply_to()),
                         in.priority(), in.definition()};
  return true;
}

template <class Proto>
bool parse(Bytes payload, Definition& out) {
  Proto message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return false;
  return from_proto(message, out);
}

bool parse_kind(char kind, Bytes payload, Definition& out) {
  switch (static_cast<DefinitionKind>(kind)) {
    case DefinitionKind::vhost:
      return parse<proto::Vhost>(payload, out);
    case DefinitionKind::user:
      return parse<proto::User>(payload, out);
    case DefinitionKind::permission:
      return parse<proto::Permission>(payload, out);
    case DefinitionKind::exchange:
      return parse<proto::Exchange>(payload, out);
    case DefinitionKind::queue:
      return parse<proto::Queue>(payload, out);
    case DefinitionKind::binding:
      return parse<proto::Binding>(payload, out);
    case DefinitionKind::policy:
      return parse<proto::Policy>(payload, out);
  }
  return false;
}

}  // namespace

std::string encode_definition(const Definition& definition) {
  // The kind once more: an exchange would parse as a vhost.
  std::string payload(1, encode_definition_key(definition).front());
  payload += std::visit([](const auto& d) { return to_bytes(d); }, definition);
  return seal(kVersion, payload);
}

Result<Definition> parse_definition(Bytes value) {
  WARREN_TRY(const Bytes payload, unseal(value, kVersion, "definition"));
  Definition out;
  if (payload.empty() || !parse_kind(payload.front(), payload.substr(1), out)) {
    return Error{Errc::corruption, "definition record does not parse"};
  }
  return out;
}

Result<Definition> decode_definition(Bytes key, Bytes value) {
  WARREN_TRY(Definition out, parse_definition(value));
  if (encode_definition_key(out) != key) {
    return Error{Errc::corruption, "definition record is under a wrong key"};
  }
  return out;
}

}  // namespace warren::storage
