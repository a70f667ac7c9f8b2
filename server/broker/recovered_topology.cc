// SPDX-License-Identifier: Apache-2.0
#include "server/broker/recovered_topology.h"

#include <set>
#include <string>

#include "storage/base/log.h"

#include "server/broker/exchange/exchange_types.h"
#include "server/broker/policy/policy.h"

namespace warren::broker {
namespace {

using storage::Definition;

class Builder {
 public:
  explicit Builder(unsigned shard_count) : shard_count_(shard_count) {}

  // One pass per kind: each kind refers only to the ones before it.
  template <class Kind>
  void pass(std::vector<Definition>& definitions) {
    for (Definition& definition : definitions) {
      if (auto* const one = std::get_if<Kind>(&definition)) add(*one);
    }
  }

  std::vector<TopologyChange> take() { return std::move(changes_); }

 private:
  void add(const storage::VhostDefinition& vhost) {
    vhosts_.insert(vhost.name);
    changes_.emplace_back(VhostAdded{vhost});
  }
  void add(const storage::UserDefinition& user) { access(user); }
  void add(const storage::PermissionDefinition& permission) { access(permission); }
  void access(const Definition& definition) {
    changes_.emplace_back(AccessChanged{{storage::DefinitionChange::Kind::put, definition}});
  }
  void add(const storage::PolicyDefinition& policy) {
    if (!known(policy.vhost, "policy", policy.name)) return;
    if (const auto wrong = check_policy(policy)) {
      WLOG(error, "stored policy is left out vhost='{}' name='{}': {}", printable(policy.vhost),
           printable(policy.name), *wrong);
      return;
    }
    changes_.emplace_back(PolicySet{policy});
  }
  void add(const storage::ExchangeDefinition& exchange) {
    if (!known(exchange.vhost, "exchange", exchange.name)) return;
    if (!is_exchange_type(exchange.type)) {
      WLOG(error, "stored exchange has an unknown type and is left out exchange='{}' type='{}'",
           printable(exchange.name), printable(exchange.type));
      return;
    }
    changes_.emplace_back(ExchangeAdded{exchange});
  }
  void add(storage::QueueDefinition& queue) {
    if (!known(queue.vhost, "queue", queue.name)) return;
    const auto home = static_cast<ShardIndex>(next_home_++ % shard_count_);
    changes_.emplace_back(
        QueueAdded{std::make_shared<const storage::QueueDefinition>(std::move(queue)), home, {}});
  }
  void add(storage::BindingDefinition& binding) {
    if (!known(binding.vhost, "binding", binding.source)) return;
    changes_.emplace_back(BindingAdded{std::move(binding)});
  }
  bool known(const std::string& vhost, std::string_view kind, const std::string& name) {
    if (vhosts_.contains(vhost)) return true;
    WLOG(error, "stored {} is of an unknown vhost and is left out vhost='{}' name='{}'", kind,
         printable(vhost), printable(name));
    return false;
  }

  unsigned shard_count_;
  std::size_t next_home_ = 0;
  std::set<std::string> vhosts_;
  std::vector<TopologyChange> changes_;
};

}  // namespace

std::vector<TopologyChange> recovered_topology(std::vector<Definition> definitions,
                                               unsigned shard_count) {
  Builder builder(shard_count);
  builder.pass<storage::VhostDefinition>(definitions);
  builder.pass<storage::UserDefinition>(definitions);
  builder.pass<storage::PermissionDefinition>(definitions);
  builder.pass<storage::PolicyDefinition>(definitions);  // ahead of what they apply to
  builder.pass<storage::ExchangeDefinition>(definitions);
  builder.pass<storage::QueueDefinition>(definitions);
  builder.pass<storage::BindingDefinition>(definitions);
  return builder.take();
}

}  // namespace warren::broker
