// SPDX-License-Identifier: Apache-2.0
#include "server/broker/control_plane.h"

#include <fmt/format.h>

#include "storage/base/assert.h"

namespace warren::broker {

void ControlPlane::load(const std::vector<TopologyChange>& changes) {
  for (const TopologyChange& change : changes) topology_.apply(change);
}

void ControlPlane::change(Operation& operation, TopologyChange change) {
  topology_.apply(change);
  operation.changes.push_back(std::move(change));
}

void ControlPlane::put(Operation& operation, storage::Definition definition) {
  operation.definitions.push_back({storage::DefinitionChange::Kind::put, std::move(definition)});
}

void ControlPlane::remove(Operation& operation, storage::Definition definition) {
  operation.definitions.push_back({storage::DefinitionChange::Kind::remove, std::move(definition)});
}

void ControlPlane::submit(Operation operation) {
  operation.number = next_operation_++;
  operation.committed = operation.definitions.empty();
  std::vector<storage::DefinitionChange> definitions = std::move(operation.definitions);
  operation.definitions.clear();
  const std::uint64_t number = operation.number;
  operations_.push_back(std::move(operation));
  if (!definitions.empty()) host_.commit(std::move(definitions), number);
  advance();
}

void ControlPlane::on_committed(std::uint64_t number) {
  WARREN_ASSERT(!operations_.empty());
  WARREN_ASSERT(number >= operations_.front().number);
  Operation& operation = operations_[number - operations_.front().number];
  WARREN_ASSERT(operation.number == number);
  operation.committed = true;
  advance();
}

void ControlPlane::handle(const Applied& message) {
  WARREN_ASSERT(!operations_.empty());
  WARREN_ASSERT(message.operation >= operations_.front().number);
  Operation& operation = operations_[message.operation - operations_.front().number];
  WARREN_ASSERT(operation.broadcast && operation.applied < shard_count_);
  ++operation.applied;
  advance();
}

// Broadcasts and answers in order; called again, harmlessly, from inside when a shard applies at
// once.
void ControlPlane::advance() {
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    Operation& operation = operations_[i];
    if (!operation.committed) break;
    if (operation.broadcast) continue;
    operation.broadcast = true;
    if (operation.changes.empty()) {
      operation.applied = shard_count_;
    } else {
      host_.broadcast(operation.number, operation.changes);
    }
  }
  while (!operations_.empty() && operations_.front().broadcast &&
         operations_.front().applied == shard_count_) {
    Operation operation = std::move(operations_.front());
    operations_.pop_front();
    finish(operation);
  }
}

void ControlPlane::finish(Operation& operation) {
  WARREN_INVARIANT(S8, operation.committed);
  host_.known_everywhere(operation.number);
  if (operation.forward_to) {
    host_.forward(*operation.forward_to, std::move(operation.forwarded));
  } else {
    host_.answer(std::move(operation.reply));
  }
}

void ControlPlane::fail(const ReplyTo& to, amqp::AmqpError error) {
  Reply reply;
  reply.to = to;
  reply.error = std::move(error);
  host_.answer(std::move(reply));
}

amqp::AmqpError no_queue(std::string_view queue, std::string_view vhost) {
  return amqp::channel_error(amqp::ReplyCode::not_found,
                             fmt::format("no queue '{}' in vhost '{}'", queue, vhost));
}

amqp::AmqpError no_exchange(std::string_view exchange, std::string_view vhost) {
  return amqp::channel_error(amqp::ReplyCode::not_found,
                             fmt::format("no exchange '{}' in vhost '{}'", exchange, vhost));
}

amqp::AmqpError locked_queue(std::string_view queue, std::string_view vhost) {
  return amqp::channel_error(
      amqp::ReplyCode::resource_locked,
      fmt::format("cannot obtain exclusive access to locked queue '{}' in vhost '{}'. It could be "
                  "originally declared on another connection or the exclusive property value does "
                  "not match that of the original declaration.",
                  queue, vhost));
}

amqp::AmqpError hidden_queue(std::string_view queue, std::string_view vhost) {
  return amqp::channel_error(
      amqp::ReplyCode::access_refused,
      fmt::format("queue '{}' in vhost '{}' belongs to a delayed-message exchange", queue, vhost));
}

std::string clean_name(Bytes name) {
  std::string clean(name);
  std::erase_if(clean, [](char c) { return c == '\r' || c == '\n'; });
  return clean;
}

}  // namespace warren::broker
