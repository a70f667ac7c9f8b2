// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/broker/control_plane.h"

namespace warren::broker {
namespace {

amqp::AmqpError no_vhost(std::string_view vhost) {
  return amqp::connection_error(amqp::ReplyCode::not_found, fmt::format("no vhost '{}'", vhost));
}

}  // namespace

void ControlPlane::handle(SetPolicy& message) {
  storage::PolicyDefinition& policy = message.definition;
  if (topology_.find_vhost(policy.vhost) == nullptr) {
    return fail(message.reply_to, no_vhost(policy.vhost));
  }
  if (const auto why = check_policy(policy)) {
    return fail(message.reply_to,
                amqp::channel_error(amqp::ReplyCode::precondition_failed,
                                    fmt::format("policy '{}' in vhost '{}': {}", policy.name,
                                                policy.vhost, *why)));
  }
  Operation operation;
  operation.reply.to = message.reply_to;
  put(operation, policy);
  change(operation, PolicySet{std::move(policy)});
  submit(std::move(operation));
}

void ControlPlane::handle(ClearPolicy& message) {
  const Vhost* const vhost = topology_.find_vhost(message.vhost);
  if (vhost == nullptr) return fail(message.reply_to, no_vhost(message.vhost));
  const Policy* const policy = vhost->policies.find(message.operator_policy, message.name);
  if (policy == nullptr) {
    return fail(message.reply_to,
                amqp::channel_error(
                    amqp::ReplyCode::not_found,
                    fmt::format("no policy '{}' in vhost '{}'", message.name, message.vhost)));
  }
  Operation operation;
  operation.reply.to = message.reply_to;
  remove(operation, policy->source);
  change(operation, PolicyCleared{message.vhost, message.operator_policy, message.name});
  submit(std::move(operation));
}

}  // namespace warren::broker
