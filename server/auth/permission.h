// SPDX-License-Identifier: Apache-2.0
// One user's rights in one vhost, compiled from its three regular expressions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/engine/definitions.h"

#include "server/auth/pattern.h"

namespace warren::auth {

enum class Operation : std::uint8_t { configure, write, read };

class Permission {
 public:
  explicit Permission(storage::PermissionDefinition definition);

  bool allows(Operation operation, std::string_view name) const;
  const storage::PermissionDefinition& definition() const { return definition_; }

 private:
  storage::PermissionDefinition definition_;
  Pattern configure_;
  Pattern write_;
  Pattern read_;
};

}  // namespace warren::auth
