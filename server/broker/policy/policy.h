// SPDX-License-Identifier: Apache-2.0
// Policies: settings that go to every queue and exchange whose name matches, at once and for as
// long as the policy is there. Of all user policies that match the one with the highest priority
// counts, alone; of all operator policies too. What they come to is a pure function of name, type
// and policies (B12).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "storage/engine/definitions.h"

#include "server/amqp/field_value.h"
#include "server/auth/pattern.h"

namespace warren::broker {

enum class PolicySubject : std::uint8_t { classic_queue, quorum_queue, stream, exchange };

// Why the policy may not be set; nothing: it may. Bad are an empty name, a pattern or a definition
// that cannot be read, settings that are unknown, of a wrong type or out of range, and of an
// operator policy those that bound nothing.
std::optional<std::string> check_policy(const storage::PolicyDefinition& policy);

// A user policy under an operator policy: of limits the smaller one, else the operator's.
amqp::FieldTable merge_policies(amqp::FieldTable user, const amqp::FieldTable& operators);

// A limit below 0 is none: the smaller of what there is, -1 only if both say so.
std::int64_t smaller_limit(std::int64_t a, std::int64_t b);

struct Policy {
  explicit Policy(storage::PolicyDefinition from);
  bool applies_to(PolicySubject subject, std::string_view name) const;

  storage::PolicyDefinition source;
  amqp::FieldTable settings;

 private:
  auth::Pattern pattern_;
};

// Those of one vhost. Runs on: its shard. Owned by: Vhost.
class PolicyStore {
 public:
  // Under a name that is taken the new one replaces the old one.
  void set(storage::PolicyDefinition policy);
  void clear(bool operator_policy, const std::string& name);
  bool empty() const { return policies_[0].empty() && policies_[1].empty(); }
  // nullptr: there is none.
  const Policy* find(bool operator_policy, const std::string& name) const;
  // The one that counts; of several with one priority the first by name. nullptr: none matches.
  const Policy* match(bool operator_policy, PolicySubject subject, std::string_view name) const;
  // By policy key. Empty: none matches.
  amqp::FieldTable effective(PolicySubject subject, std::string_view name) const;

 private:
  using ByName = std::map<std::string, Policy>;
  ByName policies_[2];  // of users, of the operator
};

}  // namespace warren::broker
