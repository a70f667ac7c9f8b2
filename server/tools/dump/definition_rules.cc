// SPDX-License-Identifier: Apache-2.0
#include "server/tools/dump/definition_rules.h"

#include <fmt/format.h>

#include "storage/base/log.h"

#include "server/auth/password.h"
#include "server/broker/definition_check.h"

namespace warren::dump {

std::optional<std::string> definition_complaint(const storage::Definition& definition) {
  if (auto why = broker::check_definition(definition)) return why;
  const auto* const user = std::get_if<storage::UserDefinition>(&definition);
  if (user == nullptr || auth::valid_password_hash(*user)) return std::nullopt;
  return fmt::format("the password hash is none that '{}' makes",
                     printable(user->hashing_algorithm));
}

void ExchangeSet::add(const storage::Definition& definition) {
  const auto* const exchange = std::get_if<storage::ExchangeDefinition>(&definition);
  if (exchange == nullptr) return;
  exchanges_.try_emplace(std::pair(exchange->vhost, exchange->name), *exchange);
}

std::optional<std::string> ExchangeSet::complaint(const storage::BindingDefinition& binding) const {
  const auto source = exchanges_.find(std::pair(binding.vhost, binding.source));
  return broker::check_stored_binding(binding,
                                      source == exchanges_.end() ? nullptr : &source->second);
}

std::vector<storage::Finding> check_definitions(const storage::Catalog& catalog) {
  std::vector<storage::Finding> out;
  for (const storage::Definition& definition : catalog.definitions) {
    if (const auto why = definition_complaint(definition)) {
      out.push_back({storage::Harm::counters, "B12", storage::definition_name(definition), *why});
    }
  }
  return out;
}

}  // namespace warren::dump
