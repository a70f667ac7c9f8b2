// SPDX-License-Identifier: Apache-2.0
// Class exchange (40): declare, delete, bind, unbind.
#include <fmt/format.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/exchange_types.h"
#include "server/broker/exchange_arguments.h"
#include "server/session/channel_send.h"

namespace warren::session {
namespace {

amqp::AmqpError default_exchange_refused() {
  return amqp::channel_error(amqp::ReplyCode::access_refused,
                             "operation not permitted on the default exchange");
}

// From exchange.bind and exchange.unbind, which have the same fields.
template <class Method>
storage::BindingDefinition exchange_binding(const Method& method) {
  storage::BindingDefinition definition;
  definition.source = method.source.value;
  definition.destination_kind = storage::BindingDestination::exchange;
  definition.destination = method.destination.value;
  definition.routing_key = method.routing_key.value;
  definition.arguments = method.arguments.value;
  return definition;
}

}  // namespace

Outcome Channel::handle(const amqp::ExchangeDeclare& method) {
  const std::string name = broker::clean_name(method.exchange);
  if (name.empty()) return default_exchange_refused();
  if (method.passive) {
    if (vhost().find_exchange(name) == nullptr) return broker::no_exchange(name, vhost().name);
    if (!method.nowait) send(amqp::ExchangeDeclareOk{});
    return {};
  }
  if (Outcome refused = check_permission(auth::Operation::configure, name)) return refused;
  if (!broker::is_exchange_type(method.type)) {
    return amqp::channel_error(amqp::ReplyCode::precondition_failed,
                               fmt::format("unknown exchange type '{}'", method.type.value));
  }
  storage::ExchangeDefinition definition;
  definition.vhost = session_.vhost_name();
  definition.name = name;
  definition.type = method.type.value;
  definition.durable = method.durable;
  definition.auto_delete = method.auto_delete;
  definition.internal = method.internal;
  definition.arguments = method.arguments.value;
  const auto arguments = amqp::decode_table(definition.arguments);
  const std::string object = fmt::format("exchange '{}' in vhost '{}'", name, definition.vhost);
  if (arguments.ok()) {
    if (auto error = broker::check_exchange_arguments(definition.type, *arguments, object)) {
      return error;
    }
  }
  if (const std::string alternate = broker::alternate_exchange(definition.arguments);
      !alternate.empty()) {
    if (Outcome refused = check_permission(auth::Operation::read, name)) return refused;
    if (Outcome refused = check_permission(auth::Operation::write, alternate)) return refused;
  }
  PendingRequest pending;
  pending.what = Waiting::exchange_declare;
  pending.nowait = method.nowait;
  session_.request(number_, std::move(pending), broker::BrokerShard::kControlShard,
                   [&](broker::ReplyTo to) {
                     return broker::DeclareExchange{to, std::move(definition)};
                   });
  return {};
}

Outcome Channel::handle(const amqp::ExchangeDelete& method) {
  const std::string name(method.exchange.value);
  if (name.empty()) return default_exchange_refused();
  if (Outcome refused = check_permission(auth::Operation::configure, name)) return refused;
  PendingRequest pending;
  pending.what = Waiting::exchange_delete;
  pending.nowait = method.nowait;
  session_.request(
      number_, std::move(pending), broker::BrokerShard::kControlShard, [&](broker::ReplyTo to) {
        return broker::DeleteExchange{to, session_.vhost_name(), name, method.if_unused};
      });
  return {};
}

// Binding writes to the destination and reads from the source.
Outcome Channel::change_binding(bool add, storage::BindingDefinition definition, Waiting waiting,
                                bool nowait) {
  if (definition.source.empty() || definition.destination.empty()) {
    return default_exchange_refused();
  }
  if (Outcome refused = check_permission(auth::Operation::write, definition.destination)) {
    return refused;
  }
  if (Outcome refused = check_permission(auth::Operation::read, definition.source)) return refused;
  definition.vhost = session_.vhost_name();
  PendingRequest pending;
  pending.what = waiting;
  pending.nowait = nowait;
  session_.request(
      number_, std::move(pending), broker::BrokerShard::kControlShard, [&](broker::ReplyTo to) {
        return broker::ChangeBinding{to, add, session_.connection_id(), std::move(definition)};
      });
  return {};
}

Outcome Channel::handle(const amqp::ExchangeBind& method) {
  return change_binding(true, exchange_binding(method), Waiting::exchange_bind, method.nowait);
}

Outcome Channel::handle(const amqp::ExchangeUnbind& method) {
  return change_binding(false, exchange_binding(method), Waiting::exchange_unbind, method.nowait);
}

}  // namespace warren::session
