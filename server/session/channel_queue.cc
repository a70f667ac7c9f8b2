// SPDX-License-Identifier: Apache-2.0
// Class queue (50): declare, bind, unbind, purge, delete.
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/amqp/field_table_codec.h"
#include "server/broker/arguments.h"
#include "server/broker/reply_address.h"
#include "server/session/channel_send.h"

namespace warren::session {
namespace {

amqp::AmqpError no_last_queue() {
  return amqp::channel_error(amqp::ReplyCode::not_found, "no previously declared queue");
}

// From queue.bind and queue.unbind. Both names empty: the key is the queue's name (conformance
// rule 18).
template <class Method>
storage::BindingDefinition queue_binding(const Method& method, const std::string& queue) {
  storage::BindingDefinition definition;
  definition.source = method.exchange.value;
  definition.destination_kind = storage::BindingDestination::queue;
  definition.destination = queue;
  const bool both_empty = method.queue.empty() && method.routing_key.empty();
  definition.routing_key = both_empty ? queue : std::string(method.routing_key.value);
  definition.arguments = method.arguments.value;
  return definition;
}

}  // namespace

std::optional<std::string> Channel::queue_name(Bytes given) const {
  if (!given.empty()) return broker::clean_name(given);
  if (last_queue_.empty()) return std::nullopt;
  return last_queue_;
}

Outcome Channel::find_queue(const std::string& name, broker::QueueHandle*& handle) {
  handle = vhost().find_queue(name);
  if (handle == nullptr) return broker::no_queue(name, session_.vhost_name());
  if (handle->hidden()) return broker::hidden_queue(name, session_.vhost_name());
  if (handle->definition->exclusive && handle->owner != session_.connection_id()) {
    return broker::locked_queue(name, session_.vhost_name());
  }
  return {};
}

Outcome Channel::handle(const amqp::QueueDeclare& method) {
  const auto name = queue_name(method.queue);
  if (name && broker::names_reply_queue(*name) && (method.passive || !method.queue.empty())) {
    return declare_reply_queue(*name, method.nowait);
  }
  PendingRequest pending;
  pending.what = Waiting::queue_declare;
  pending.nowait = method.nowait;
  if (method.passive) {
    if (!name) return no_last_queue();
    broker::QueueHandle* handle = nullptr;
    if (Outcome error = find_queue(*name, handle)) return error;
    pending.name = *name;
    pending.queue = *name;
    const broker::QueueId id = handle->id;
    session_.request(number_, std::move(pending), handle->home, [&](broker::ReplyTo to) {
      return broker::CountRequest{to, id, nullptr};
    });
    return {};
  }
  const bool server_named = method.queue.empty();
  storage::QueueDefinition definition;
  definition.vhost = session_.vhost_name();
  definition.name =
      server_named ? session_.random_name("amq.gen-") : broker::clean_name(method.queue);
  definition.durable = method.durable;
  definition.exclusive = method.exclusive;
  definition.auto_delete = method.auto_delete;
  definition.arguments = method.arguments.value;
  if (Outcome refused = check_permission(auth::Operation::configure, definition.name)) {
    return refused;
  }
  if (!definition.arguments.empty()) {
    const auto arguments = amqp::decode_table(definition.arguments);
    const std::string object =
        fmt::format("queue '{}' in vhost '{}'", definition.name, definition.vhost);
    if (arguments.ok()) {
      if (server_named) {
        if (auto error = broker::check_server_named(*arguments)) return error;
      }
      if (auto error = broker::check_queue_arguments(*arguments, object)) return error;
      if (auto error = broker::check_queue_properties(definition, *arguments, object)) return error;
    }
  }
  if (definition.exclusive) session_.mark_owner();
  pending.name = definition.name;
  broker::DeclareQueue declare{{}, std::move(definition), session_.connection_id(), server_named};
  // A queue that is there and the same is asked for its counts directly: behind what this channel
  // published to it, and not around by the control shard (conformance rule 41). One that is not
  // everywhere yet is waited for there (B13).
  const broker::QueueHandle* const known = vhost().find_queue(declare.definition.name);
  if (known != nullptr && broker().known_everywhere(*known) &&
      broker::same_queue(declare, *known)) {
    const broker::QueueId id = known->id;
    session_.request(number_, std::move(pending), known->home, [&](broker::ReplyTo to) {
      declare.reply_to = to;
      return broker::CountRequest{to, id,
                                  std::make_shared<broker::DeclareQueue>(std::move(declare))};
    });
    return {};
  }
  session_.request(number_, std::move(pending), broker::BrokerShard::kControlShard,
                   [&](broker::ReplyTo to) {
                     declare.reply_to = to;
                     return std::move(declare);
                   });
  return {};
}

// For consume, get and purge: the queue that is read, named or the last declared one.
Outcome Channel::find_readable_queue(Bytes given, broker::QueueHandle*& handle) {
  const auto name = queue_name(given);
  if (!name) return no_last_queue();
  if (Outcome refused = check_permission(auth::Operation::read, *name)) return refused;
  return find_queue(*name, handle);
}

Outcome Channel::handle(const amqp::QueueBind& method) {
  const auto name = queue_name(method.queue);
  if (!name) return no_last_queue();
  if (broker::names_reply_queue(*name)) {
    return amqp::channel_error(amqp::ReplyCode::access_refused,
                               "operation not permitted on the direct reply-to queue");
  }
  return change_binding(true, queue_binding(method, *name), Waiting::queue_bind, method.nowait);
}

Outcome Channel::handle(const amqp::QueueUnbind& method) {
  const auto name = queue_name(method.queue);
  if (!name) return no_last_queue();
  return change_binding(false, queue_binding(method, *name), Waiting::queue_unbind, false);
}

Outcome Channel::handle(const amqp::QueuePurge& method) {
  broker::QueueHandle* handle = nullptr;
  if (Outcome error = find_readable_queue(method.queue, handle)) return error;
  PendingRequest pending;
  pending.what = Waiting::queue_purge;
  pending.queue = handle->definition->name;
  pending.nowait = method.nowait;
  const broker::QueueId id = handle->id;
  session_.request(number_, std::move(pending), handle->home, [id](broker::ReplyTo to) {
    return broker::PurgeRequest{to, id};
  });
  return {};
}

Outcome Channel::handle(const amqp::QueueDelete& method) {
  const auto name = queue_name(method.queue);
  if (!name) return no_last_queue();
  if (Outcome refused = check_permission(auth::Operation::configure, *name)) return refused;
  if (vhost().find_queue(*name) == nullptr) {
    if (!method.nowait) send(amqp::QueueDeleteOk{});
    return {};
  }
  broker::QueueHandle* handle = nullptr;
  if (Outcome error = find_queue(*name, handle)) return error;
  PendingRequest pending;
  pending.what = Waiting::queue_delete;
  pending.nowait = method.nowait;
  const broker::QueueId id = handle->id;
  session_.request(number_, std::move(pending), handle->home, [&](broker::ReplyTo to) {
    return broker::DeleteQueueRequest{to, id, method.if_unused, method.if_empty};
  });
  return {};
}

}  // namespace warren::session
