// SPDX-License-Identifier: Apache-2.0
#include "server/broker/topology.h"

#include "storage/base/assert.h"

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/delayed.h"
#include "server/broker/exchange/exchange_types.h"

namespace warren::broker {
namespace {

PolicySubject policy_subject(QueueType type) {
  switch (type) {
    case QueueType::classic:
      return PolicySubject::classic_queue;
    case QueueType::quorum:
      return PolicySubject::quorum_queue;
    case QueueType::stream:
      return PolicySubject::stream;
  }
  return PolicySubject::classic_queue;
}

}  // namespace

bool is_stored(const storage::QueueDefinition& definition) {
  return definition.durable && !definition.exclusive;
}

Exchange* Vhost::find_exchange(std::string_view exchange) const {
  const auto at = exchanges.find(exchange);
  return at == exchanges.end() ? nullptr : at->second.get();
}

QueueHandle* Vhost::find_queue(std::string_view queue) const {
  const auto at = queues.find(queue);
  return at == queues.end() ? nullptr : at->second.get();
}

Vhost* Topology::find_vhost(std::string_view name) const {
  const auto at = vhosts_.find(name);
  return at == vhosts_.end() ? nullptr : at->second.get();
}

void Topology::apply(const TopologyChange& change) {
  ++version_;
  std::visit([this](const auto& one) { on(one); }, change);
}

void Topology::on(const VhostAdded& change) {
  const std::string& name = change.definition.name;
  const auto [at, added] = vhosts_.try_emplace(name, nullptr);
  if (!added) return;
  at->second = std::make_unique<Vhost>();
  at->second->name = name;
  for (storage::ExchangeDefinition& exchange : predeclared_exchanges(name)) {
    on(ExchangeAdded{std::move(exchange)});
  }
}

void Topology::on(const ExchangeAdded& change) {
  Vhost* const vhost = find_vhost(change.definition.vhost);
  WARREN_ASSERT(vhost != nullptr);
  auto exchange = make_exchange(change.definition);
  govern(*vhost, *exchange);
  if (delays(change.definition)) exchange->delay_queue = delay_queue_name(change.definition.name);
  exchange->dedup = read_dedup_settings(change.definition.arguments);
  vhost->exchanges.insert_or_assign(change.definition.name, std::move(exchange));
}

void Topology::on(const ExchangeRemoved& change) {
  Vhost* const vhost = find_vhost(change.vhost);
  WARREN_ASSERT(vhost != nullptr);
  const auto at = vhost->exchanges.find(change.name);
  if (at == vhost->exchanges.end()) return;
  Exchange& exchange = *at->second;
  while (!exchange.incoming().empty()) {
    Binding& binding = *exchange.incoming().back();
    unlink(binding);
    binding.source->unbind(binding.definition);
  }
  for (const Binding* binding : exchange.bindings()) {
    const std::unique_ptr<Binding> removed = exchange.unbind(binding->definition);
    unlink(*removed);
  }
  vhost->exchanges.erase(at);
}

void Topology::on(const QueueAdded& change) {
  Vhost* const vhost = find_vhost(change.definition->vhost);
  WARREN_ASSERT(vhost != nullptr);
  auto handle = std::make_unique<QueueHandle>();
  handle->definition = change.definition;
  handle->id = change.definition->log;
  govern(*vhost, *handle);
  handle->home = change.home;
  handle->stored = is_stored(*change.definition);
  handle->owner = change.owner;
  vhost->queues.insert_or_assign(change.definition->name, std::move(handle));
}

void Topology::on(const QueueRemoved& change) {
  Vhost* const vhost = find_vhost(change.vhost);
  WARREN_ASSERT(vhost != nullptr);
  const auto at = vhost->queues.find(change.name);
  if (at == vhost->queues.end() || at->second->id != change.id) return;
  QueueHandle& queue = *at->second;
  while (!queue.incoming.empty()) {
    Binding& binding = *queue.incoming.back();
    unlink(binding);
    binding.source->unbind(binding.definition);
  }
  vhost->queues.erase(at);
}

void Topology::on(const BindingAdded& change) {
  const storage::BindingDefinition& definition = change.definition;
  Vhost* const vhost = find_vhost(definition.vhost);
  WARREN_ASSERT(vhost != nullptr);
  auto binding = std::make_unique<Binding>();
  binding->definition = definition;
  binding->source = vhost->find_exchange(definition.source);
  if (definition.destination_kind == storage::BindingDestination::queue) {
    binding->queue = vhost->find_queue(definition.destination);
  } else {
    binding->exchange = vhost->find_exchange(definition.destination);
  }
  if (binding->source == nullptr || (binding->queue == nullptr && binding->exchange == nullptr)) {
    return;  // a stored binding whose end is gone: nothing to route to
  }
  Binding* const raw = binding.get();
  if (!binding->source->bind(std::move(binding))) return;
  std::vector<Binding*>& incoming =
      raw->queue != nullptr ? raw->queue->incoming : raw->exchange->incoming();
  raw->incoming_position = incoming.size();
  incoming.push_back(raw);
}

void Topology::on(const BindingRemoved& change) {
  Vhost* const vhost = find_vhost(change.definition.vhost);
  WARREN_ASSERT(vhost != nullptr);
  Exchange* const source = vhost->find_exchange(change.definition.source);
  if (source == nullptr) return;
  const std::unique_ptr<Binding> removed = source->unbind(change.definition);
  if (removed) unlink(*removed);
}

void Topology::on(const PolicySet& change) {
  Vhost* const vhost = find_vhost(change.definition.vhost);
  WARREN_ASSERT(vhost != nullptr);
  vhost->policies.set(change.definition);
  govern_all(*vhost);
}

void Topology::on(const PolicyCleared& change) {
  Vhost* const vhost = find_vhost(change.vhost);
  WARREN_ASSERT(vhost != nullptr);
  vhost->policies.clear(change.operator_policy, change.name);
  govern_all(*vhost);
}

void Topology::govern_all(const Vhost& vhost) {
  for (const auto& [name, queue] : vhost.queues) govern(vhost, *queue);
  for (const auto& [name, exchange] : vhost.exchanges) govern(vhost, *exchange);
}

// Arguments and policies come to settings (B12).
void Topology::govern(const Vhost& vhost, QueueHandle& queue) {
  QueueSettings settings = queue_settings(*queue.definition, {});
  if (!vhost.policies.empty() && settings.delayed_exchange.empty()) {
    const PolicySubject subject = policy_subject(settings.type);
    const amqp::FieldTable policy = vhost.policies.effective(subject, queue.definition->name);
    if (!policy.empty()) settings = queue_settings(*queue.definition, policy);
  }
  queue.settings = share(std::move(settings));
}

QueueSettingsPtr Topology::share(QueueSettings settings) {
  if (last_settings_ == nullptr || *last_settings_ != settings) {
    last_settings_ = std::make_shared<const QueueSettings>(std::move(settings));
  }
  return last_settings_;
}

// The default exchange is nobody's to change.
void Topology::govern(const Vhost& vhost, Exchange& exchange) {
  exchange.alternate = alternate_exchange(exchange.definition().arguments);
  if (!exchange.alternate.empty() || vhost.policies.empty() || exchange.name().empty()) return;
  const amqp::FieldTable policy =
      vhost.policies.effective(PolicySubject::exchange, exchange.name());
  const amqp::FieldValue* const alternate = policy.find("alternate-exchange");
  if (alternate != nullptr) exchange.alternate = amqp::as_string(*alternate).value_or("");
}

// Takes the binding out of its destination's list (B5).
void Topology::unlink(Binding& binding) {
  std::vector<Binding*>& incoming =
      binding.queue != nullptr ? binding.queue->incoming : binding.exchange->incoming();
  const std::size_t at = binding.incoming_position;
  WARREN_INVARIANT(B5, at < incoming.size() && incoming[at] == &binding);
  incoming[at] = incoming.back();
  incoming[at]->incoming_position = at;
  incoming.pop_back();
}

std::vector<storage::ExchangeDefinition> predeclared_exchanges(const std::string& vhost) {
  struct Row {
    const char* name;
    const char* type;
    bool internal;
  };
  constexpr Row kRows[] = {
      {"", "direct", false},
      {"amq.direct", "direct", false},
      {"amq.fanout", "fanout", false},
      {"amq.topic", "topic", false},
      {"amq.headers", "headers", false},
      {"amq.match", "headers", false},
      {"amq.rabbitmq.trace", "topic", true},
  };
  std::vector<storage::ExchangeDefinition> all;
  for (const Row& row : kRows) {
    storage::ExchangeDefinition definition;
    definition.vhost = vhost;
    definition.name = row.name;
    definition.type = row.type;
    definition.durable = true;
    definition.internal = row.internal;
    all.push_back(std::move(definition));
  }
  return all;
}

std::string alternate_exchange(const storage::ArgumentBytes& arguments) {
  if (arguments.empty()) return {};
  const auto table = amqp::decode_table(arguments);
  if (!table.ok()) return {};
  const amqp::FieldValue* value = table->find("alternate-exchange");
  if (value == nullptr) value = table->find("x-alternate-exchange");
  if (value == nullptr) return {};
  return std::string(amqp::as_string(*value).value_or(""));
}

}  // namespace warren::broker
