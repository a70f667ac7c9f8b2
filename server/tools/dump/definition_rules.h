// SPDX-License-Identifier: Apache-2.0
// What the broker would say to definitions that come from elsewhere. Rules are its own; here they
// are put together.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/inspect/store_check.h"
#include "storage/record/definitions.h"

namespace warren::dump {

// Why it cannot be used, whatever else there is; nothing: it can.
std::optional<std::string> definition_complaint(const storage::Definition& definition);

// The exchanges that bindings come from.
class ExchangeSet {
 public:
  // The first one of a name counts.
  void add(const storage::Definition& definition);
  // Why the binding cannot be used: it has no such source, or one that does not take it.
  std::optional<std::string> complaint(const storage::BindingDefinition& binding) const;

 private:
  std::map<std::pair<std::string, std::string>, storage::ExchangeDefinition> exchanges_;
};

// Definitions of a store that the broker leaves out or reads as if they said less.
std::vector<storage::Finding> check_definitions(const storage::Catalog& catalog);

}  // namespace warren::dump
