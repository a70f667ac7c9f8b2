// SPDX-License-Identifier: Apache-2.0
#include "server/broker/policy/policy.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/wire_types.h"
#include "server/broker/arguments.h"

namespace warren::broker {
namespace {

struct Row {
  std::string_view key;
  bool is_queue_argument = true;  // with "x-" ahead: its values are checked
  bool operators = false;         // an operator policy may say it
  bool is_limit = false;          // the smaller one counts
};

// What RabbitMQ and LavinMQ know; the ones that mean nothing here are taken and kept.
constexpr Row kRows[] = {
    {"message-ttl", true, true, true},
    {"expires", true, true, true},
    {"max-length", true, true, true},
    {"max-length-bytes", true, true, true},
    {"delivery-limit", true, true, true},
    {"max-in-memory-length", true, true, true},
    {"max-in-memory-bytes", true, true, true},
    {"overflow", true, true},
    {"queue-version", true, true},
    {"dead-letter-exchange"},
    {"dead-letter-routing-key"},
    {"dead-letter-strategy"},
    {"consumer-timeout"},
    {"delayed-retry-type"},
    {"delayed-retry-min"},
    {"delayed-retry-max"},
    {"queue-mode"},
    {"queue-master-locator"},
    {"queue-leader-locator"},
    {"max-age"},
    {"stream-max-segment-size-bytes"},
    {"stream-filter-size-bytes"},
    {"alternate-exchange", false},
    {"delayed-message", false},
    {"federation-upstream", false},
    {"federation-upstream-pattern", false},
    {"federation-upstream-set", false},
    {"ha-mode", false},
    {"ha-params", false},
    {"ha-promote-on-failure", false},
    {"ha-promote-on-shutdown", false},
    {"ha-sync-batch-size", false},
    {"ha-sync-mode", false},
    {"target-group-size", false, true},
};

const Row* row_of(std::string_view key) {
  const auto* const at = std::find_if(std::begin(kRows), std::end(kRows),
                                      [key](const Row& r) { return r.key == key; });
  return at == std::end(kRows) ? nullptr : at;
}

std::optional<std::string> check_setting(std::string_view key, const amqp::FieldValue& value,
                                         bool operator_policy) {
  const Row* const row = row_of(key);
  if (row == nullptr) return fmt::format("'{}' is not a recognised policy setting", key);
  if (operator_policy && !row->operators) {
    return fmt::format("'{}' is not a setting of operator policies", key);
  }
  if (row->is_queue_argument) {
    const std::string why = argument_complaint(fmt::format("x-{}", key), value);
    if (!why.empty()) return fmt::format("setting '{}': {}", key, why);
  } else if (key == "alternate-exchange" && !amqp::as_string(value)) {
    return fmt::format("setting '{}': unacceptable type {}", key, amqp::type_name(value.type()));
  }
  return std::nullopt;
}

bool is_for(storage::PolicyTarget target, PolicySubject subject) {
  switch (target) {
    case storage::PolicyTarget::all:
      return true;
    case storage::PolicyTarget::queues:
      return subject != PolicySubject::exchange;
    case storage::PolicyTarget::classic_queues:
      return subject == PolicySubject::classic_queue;
    case storage::PolicyTarget::quorum_queues:
      return subject == PolicySubject::quorum_queue;
    case storage::PolicyTarget::streams:
      return subject == PolicySubject::stream;
    case storage::PolicyTarget::exchanges:
      return subject == PolicySubject::exchange;
  }
  return false;
}

}  // namespace

std::int64_t smaller_limit(std::int64_t a, std::int64_t b) {
  return a < 0 || b < 0 ? std::max(a, b) : std::min(a, b);
}

std::optional<std::string> check_policy(const storage::PolicyDefinition& policy) {
  if (policy.name.empty()) return "the name is empty";
  if (policy.name.size() > amqp::kShortStringBytesMax) {
    return fmt::format("the name is longer than {} bytes", amqp::kShortStringBytesMax);
  }
  if (!auth::valid_pattern(policy.pattern)) {
    return fmt::format("the pattern '{}' is not a regular expression that can be used",
                       printable(policy.pattern));
  }
  if (!policy.definition.empty() && !amqp::decode_table(policy.definition).ok()) {
    return "the definition is no field table";
  }
  const amqp::FieldTable settings = amqp::decode_or_empty(policy.definition);
  if (settings.empty()) return "the definition is empty";
  for (const auto& [key, value] : settings.entries()) {
    if (auto why = check_setting(key, value, policy.operator_policy)) return why;
  }
  return std::nullopt;
}

amqp::FieldTable merge_policies(amqp::FieldTable user, const amqp::FieldTable& operators) {
  for (const auto& [key, value] : operators.entries()) {
    const Row* const row = row_of(key);
    const amqp::FieldValue* const own = user.find(key);
    const auto limit = amqp::as_integer(value);
    const auto own_limit = own == nullptr ? std::nullopt : amqp::as_integer(*own);
    if (row != nullptr && row->is_limit && limit && own_limit) {
      user.set(key, amqp::FieldValue(smaller_limit(*limit, *own_limit)));
    } else {
      user.set(key, value);
    }
  }
  return user;
}

// RabbitMQ's empty pattern matches every name; that of a permission matches none.
Policy::Policy(storage::PolicyDefinition from)
    : source(std::move(from)),
      settings(amqp::decode_or_empty(source.definition)),
      pattern_(source.pattern.empty() ? ".*" : source.pattern) {}

bool Policy::applies_to(PolicySubject subject, std::string_view name) const {
  return is_for(source.apply_to, subject) && pattern_.matches(name);
}

void PolicyStore::set(storage::PolicyDefinition policy) {
  ByName& policies = policies_[policy.operator_policy ? 1 : 0];
  std::string name = policy.name;
  policies.erase(name);
  policies.try_emplace(std::move(name), std::move(policy));
}

void PolicyStore::clear(bool operator_policy, const std::string& name) {
  policies_[operator_policy ? 1 : 0].erase(name);
}

const Policy* PolicyStore::find(bool operator_policy, const std::string& name) const {
  const ByName& policies = policies_[operator_policy ? 1 : 0];
  const auto at = policies.find(name);
  return at == policies.end() ? nullptr : &at->second;
}

const Policy* PolicyStore::match(bool operator_policy, PolicySubject subject,
                                 std::string_view name) const {
  const Policy* best = nullptr;
  for (const auto& [policy_name, policy] : policies_[operator_policy ? 1 : 0]) {
    if (best != nullptr && policy.source.priority <= best->source.priority) continue;
    if (policy.applies_to(subject, name)) best = &policy;
  }
  return best;
}

amqp::FieldTable PolicyStore::effective(PolicySubject subject, std::string_view name) const {
  const Policy* const user = match(false, subject, name);
  const Policy* const operators = match(true, subject, name);
  amqp::FieldTable settings = user == nullptr ? amqp::FieldTable{} : user->settings;
  return operators == nullptr ? settings : merge_policies(std::move(settings), operators->settings);
}

}  // namespace warren::broker
