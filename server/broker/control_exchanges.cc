// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/broker/control_plane.h"
#include "server/broker/equivalence.h"
#include "server/broker/exchange/delayed.h"
#include "server/broker/exchange_arguments.h"

namespace warren::broker {
namespace {

bool is_reserved(std::string_view exchange) {
  return exchange.empty() || exchange.starts_with("amq.");
}

}  // namespace

void ControlPlane::handle(DeclareExchange& message) {
  const storage::ExchangeDefinition& definition = message.definition;
  Vhost* const vhost = topology_.find_vhost(definition.vhost);
  WARREN_ASSERT(vhost != nullptr);
  Operation operation;
  operation.reply.to = message.reply_to;
  if (const Exchange* const current = vhost->find_exchange(definition.name)) {
    if (auto error = inequivalent(definition, current->definition())) {
      return fail(message.reply_to, std::move(*error));
    }
    return submit(std::move(operation));
  }
  if (definition.name.starts_with("amq.")) {
    return fail(
        message.reply_to,
        amqp::channel_error(
            amqp::ReplyCode::access_refused,
            fmt::format("exchange name '{}' contains reserved prefix 'amq.*'", definition.name)));
  }
  if (definition.durable) put(operation, definition);
  change(operation, ExchangeAdded{definition});
  if (delays(definition)) {
    add_queue(operation, delay_queue(definition), message.reply_to.connection);
  }
  submit(std::move(operation));
}

void ControlPlane::handle(DeleteExchange& message) {
  Vhost* const vhost = topology_.find_vhost(message.vhost);
  WARREN_ASSERT(vhost != nullptr);
  if (is_reserved(message.name)) {
    return fail(message.reply_to,
                amqp::channel_error(amqp::ReplyCode::access_refused,
                                    fmt::format("operation not permitted on exchange '{}' in vhost "
                                                "'{}': its name is reserved",
                                                message.name, message.vhost)));
  }
  Operation operation;
  operation.reply.to = message.reply_to;
  if (const Exchange* const exchange = vhost->find_exchange(message.name)) {
    if (message.if_unused && exchange->binding_count() > 0) {
      return fail(message.reply_to,
                  amqp::channel_error(amqp::ReplyCode::precondition_failed,
                                      fmt::format("exchange '{}' in vhost '{}' in use",
                                                  message.name, message.vhost)));
    }
    remove_exchange(operation, *vhost, *exchange);
    remove_unused_exchanges(operation, *vhost);
  }
  submit(std::move(operation));
}

std::optional<amqp::AmqpError> ControlPlane::refuse_binding(const ChangeBinding& message,
                                                            const Vhost& vhost) const {
  const storage::BindingDefinition& definition = message.definition;
  const Exchange* const source = vhost.find_exchange(definition.source);
  if (source == nullptr) return no_exchange(definition.source, vhost.name);
  if (definition.destination_kind == storage::BindingDestination::exchange) {
    if (vhost.find_exchange(definition.destination) == nullptr) {
      return no_exchange(definition.destination, vhost.name);
    }
  } else {
    const QueueHandle* const queue = vhost.find_queue(definition.destination);
    if (queue == nullptr) return no_queue(definition.destination, vhost.name);
    if (queue->hidden()) return hidden_queue(definition.destination, vhost.name);
    if (queue->definition->exclusive && queue->owner != message.connection) {
      return locked_queue(definition.destination, vhost.name);
    }
  }
  return check_binding(routing_type(source->definition()), definition);
}

void ControlPlane::handle(ChangeBinding& message) {
  Vhost* const vhost = topology_.find_vhost(message.definition.vhost);
  WARREN_ASSERT(vhost != nullptr);
  const storage::BindingDefinition& definition = message.definition;
  Operation operation;
  operation.reply.to = message.reply_to;
  Exchange* const source = vhost->find_exchange(definition.source);
  if (message.add) {
    if (auto error = refuse_binding(message, *vhost)) {
      return fail(message.reply_to, std::move(*error));
    }
    if (source->find_binding(definition) == nullptr) {
      if (is_durable(*vhost, definition)) put(operation, definition);
      change(operation, BindingAdded{definition});
    }
    return submit(std::move(operation));
  }
  // Unbinding what is not there is fine.
  const Binding* const binding = source == nullptr ? nullptr : source->find_binding(definition);
  if (binding != nullptr) {
    if (binding->queue != nullptr && binding->queue->definition->exclusive &&
        binding->queue->owner != message.connection) {
      return fail(message.reply_to, locked_queue(definition.destination, vhost->name));
    }
    forget_binding(operation, *binding);
    change(operation, BindingRemoved{definition});
    remove_unused_exchanges(operation, *vhost);
  }
  submit(std::move(operation));
}

// A binding outlives a restart only when both of its ends do.
bool ControlPlane::is_durable(const Vhost& vhost, const storage::BindingDefinition& definition) {
  const Exchange* const source = vhost.find_exchange(definition.source);
  if (source == nullptr || !source->definition().durable) return false;
  if (definition.destination_kind == storage::BindingDestination::exchange) {
    const Exchange* const destination = vhost.find_exchange(definition.destination);
    return destination != nullptr && destination->definition().durable;
  }
  const QueueHandle* const queue = vhost.find_queue(definition.destination);
  return queue != nullptr && queue->stored;
}

void ControlPlane::forget_binding(Operation& operation, const Binding& binding) {
  const Vhost* const vhost = topology_.find_vhost(binding.definition.vhost);
  if (is_durable(*vhost, binding.definition)) remove(operation, binding.definition);
  operation.lost_binding.push_back(binding.definition.source);
}

void ControlPlane::remove_exchange(Operation& operation, const Vhost& vhost,
                                   const Exchange& exchange) {
  for (const Binding* binding : exchange.bindings()) forget_binding(operation, *binding);
  for (const Binding* binding : exchange.incoming()) forget_binding(operation, *binding);
  // What waits in it goes with it.
  const QueueHandle* const delayed = vhost.find_queue(delay_queue_name(exchange.name()));
  if (!exchange.delay_queue.empty() && delayed != nullptr) {
    remove_queue(operation, vhost, *delayed);
  }
  if (exchange.definition().durable) remove(operation, exchange.definition());
  change(operation, ExchangeRemoved{vhost.name, exchange.name()});  // `exchange` dies here
}

// An auto-delete exchange goes with the last binding that has it as its source; that may be the
// last binding of another one. A loop and not a recursion: chains may be long.
void ControlPlane::remove_unused_exchanges(Operation& operation, const Vhost& vhost) {
  while (!operation.lost_binding.empty()) {
    const std::string name = std::move(operation.lost_binding.back());
    operation.lost_binding.pop_back();
    const Exchange* const exchange = vhost.find_exchange(name);
    if (exchange == nullptr || !exchange->definition().auto_delete) continue;
    if (exchange->binding_count() == 0) remove_exchange(operation, vhost, *exchange);
  }
}

}  // namespace warren::broker
