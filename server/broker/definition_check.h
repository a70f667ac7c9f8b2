// SPDX-License-Identifier: Apache-2.0
// What the broker refuses of definitions that no client declared: an import's. The same rules as
// for clients, in one place.
#pragma once

#include <optional>
#include <string>

#include "storage/engine/definitions.h"

namespace warren::broker {

// Why the broker would never have stored this; nothing: it may be stored. What it refers to is not
// looked at, nor the password hash of a user (auth/password.h).
std::optional<std::string> check_definition(const storage::Definition& definition);

// Why this binding may not be made; nothing: it may. `source`: the exchange that it names as the
// vhost has it; nullptr: the vhost has none but the ones that every vhost has.
std::optional<std::string> check_stored_binding(const storage::BindingDefinition& binding,
                                                const storage::ExchangeDefinition* source);

}  // namespace warren::broker
