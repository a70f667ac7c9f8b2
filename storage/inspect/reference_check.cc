// SPDX-License-Identifier: Apache-2.0
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "storage/inspect/store_check.h"
#include "storage/record/keys.h"

namespace warren::storage {
namespace {

class ReferenceCheck {
 public:
  explicit ReferenceCheck(const Catalog& catalog) : catalog_(catalog) {
    for (const Definition& definition : catalog.definitions) {
      known_.insert(encode_definition_key(definition));
    }
  }

  std::vector<Finding> run() {
    for (const Definition& definition : catalog_.definitions) {
      from_ = &definition;
      std::visit([this](const auto& one) { check(one); }, definition);
    }
    return std::move(out_);
  }

 private:
  void check(const VhostDefinition&) {}
  void check(const UserDefinition&) {}
  void check(const PermissionDefinition& permission) {
    need(VhostDefinition{permission.vhost});
    UserDefinition user;
    user.name = permission.user;
    need(user);
  }
  void check(const ExchangeDefinition& exchange) { need(VhostDefinition{exchange.vhost}); }
  void check(const QueueDefinition& queue) { need(VhostDefinition{queue.vhost}); }
  void check(const BindingDefinition& binding) {
    need(VhostDefinition{binding.vhost});
    need_exchange(binding.vhost, binding.source);
    if (binding.destination_kind == BindingDestination::exchange) {
      return need_exchange(binding.vhost, binding.destination);
    }
    QueueDefinition queue;
    queue.vhost = binding.vhost;
    queue.name = binding.destination;
    need(queue);
  }
  void check(const PolicyDefinition& policy) { need(VhostDefinition{policy.vhost}); }

  // Those of every vhost have no record: their names are reserved.
  void need_exchange(const std::string& vhost, const std::string& name) {
    if (name.empty() || name.starts_with("amq.")) return;
    ExchangeDefinition exchange;
    exchange.vhost = vhost;
    exchange.name = name;
    need(exchange);
  }

  void need(const Definition& wanted) {
    if (known_.contains(encode_definition_key(wanted))) return;
    out_.push_back(
        Finding{Harm::none, "B5", definition_name(*from_),
                fmt::format("refers to {}, which does not exist", definition_name(wanted))});
  }

  const Catalog& catalog_;
  std::set<std::string> known_;
  const Definition* from_ = nullptr;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> check_references(const Catalog& catalog) {
  return ReferenceCheck(catalog).run();
}

}  // namespace warren::storage
