// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "storage/base/assert.h"

#include "server/broker/control_plane.h"
#include "server/broker/equivalence.h"

namespace warren::broker {

bool same_queue(const DeclareQueue& declare, const QueueHandle& current) {
  const bool foreign = current.definition->exclusive && current.owner != declare.connection;
  return !foreign && current.definition->exclusive == declare.definition.exclusive &&
         !inequivalent(declare.definition, *current.definition);
}

void ControlPlane::handle(DeclareQueue& message) {
  Vhost* const vhost = topology_.find_vhost(message.definition.vhost);
  WARREN_ASSERT(vhost != nullptr);  // the session has opened it
  storage::QueueDefinition& definition = message.definition;
  Operation operation;
  if (const QueueHandle* const current = vhost->find_queue(definition.name)) {
    const bool foreign = current->definition->exclusive && current->owner != message.connection;
    if (foreign || current->definition->exclusive != definition.exclusive) {
      return fail(message.reply_to, locked_queue(definition.name, definition.vhost));
    }
    if (auto error = inequivalent(definition, *current->definition)) {
      return fail(message.reply_to, std::move(*error));
    }
    operation.forward_to = current->home;
    operation.forwarded = CountRequest{message.reply_to, current->id, nullptr};
    operation.forwarded.retry = std::make_shared<DeclareQueue>(std::move(message));
    return submit(std::move(operation));
  }
  if (definition.name.starts_with("amq.") && !message.server_named) {
    return fail(message.reply_to,
                amqp::channel_error(amqp::ReplyCode::access_refused,
                                    fmt::format("queue name '{}' contains reserved prefix 'amq.*'",
                                                definition.name)));
  }
  if (limits_.queues_max != 0 && vhost->queues.size() >= limits_.queues_max) {
    return fail(
        message.reply_to,
        amqp::channel_error(amqp::ReplyCode::precondition_failed,
                            fmt::format("cannot declare queue '{}': queue limit in vhost '{}' ({}) "
                                        "is reached",
                                        definition.name, definition.vhost, limits_.queues_max)));
  }
  operation.reply.to = message.reply_to;
  operation.reply.name = definition.name;
  add_queue(operation, std::move(definition), message.connection);
  submit(std::move(operation));
}

void ControlPlane::add_queue(Operation& operation, storage::QueueDefinition definition,
                             ConnectionId connection) {
  definition.log_count = log_count(definition.arguments);
  definition.log = host_.new_log_ids(definition.log_count);
  if (is_stored(definition)) put(operation, definition);
  if (definition.exclusive) {
    owned_[connection.value].emplace_back(definition.vhost, definition.name);
  }
  // Whoever declares a queue tends to use it: it lives on that connection's shard.
  change(operation,
         QueueAdded{std::make_shared<const storage::QueueDefinition>(std::move(definition)),
                    connection.shard(), connection});
}

void ControlPlane::handle(RemoveQueue& message) {
  Operation operation;
  operation.reply = std::move(message.reply);
  const Vhost* const vhost = topology_.find_vhost(message.vhost);
  const QueueHandle* const queue = vhost == nullptr ? nullptr : vhost->find_queue(message.name);
  if (queue != nullptr && queue->id == message.queue) remove_queue(operation, *vhost, *queue);
  submit(std::move(operation));
}

void ControlPlane::handle(RemoveExclusive& message) {
  Operation operation;
  operation.reply.to = message.reply_to;
  const auto owned = owned_.find(message.connection.value);
  if (owned != owned_.end()) {
    const auto names = std::move(owned->second);
    owned_.erase(owned);
    for (const auto& [vhost_name, name] : names) {
      const Vhost* const vhost = topology_.find_vhost(vhost_name);
      const QueueHandle* const queue = vhost == nullptr ? nullptr : vhost->find_queue(name);
      if (queue == nullptr || queue->owner != message.connection) continue;
      if (!queue->definition->exclusive) continue;
      remove_queue(operation, *vhost, *queue);
    }
  }
  submit(std::move(operation));
}

void ControlPlane::remove_queue(Operation& operation, const Vhost& vhost,
                                const QueueHandle& queue) {
  for (const Binding* binding : queue.incoming) forget_binding(operation, *binding);
  if (queue.stored) remove(operation, *queue.definition);
  const auto owned = owned_.find(queue.owner.value);
  if (queue.definition->exclusive && owned != owned_.end()) {
    std::erase(owned->second, std::pair(vhost.name, queue.definition->name));
    if (owned->second.empty()) owned_.erase(owned);
  }
  const QueueRemoved removed{vhost.name, queue.definition->name, queue.id, queue.home};
  change(operation, removed);  // `queue` dies here
  remove_unused_exchanges(operation, vhost);
}

}  // namespace warren::broker
