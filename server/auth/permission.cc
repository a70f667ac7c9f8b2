// SPDX-License-Identifier: Apache-2.0
#include "server/auth/permission.h"

#include <utility>

namespace warren::auth {

Permission::Permission(storage::PermissionDefinition definition)
    : definition_(std::move(definition)),
      configure_(definition_.configure),
      write_(definition_.write),
      read_(definition_.read) {}

bool Permission::allows(Operation operation, std::string_view name) const {
  switch (operation) {
    case Operation::configure:
      return configure_.matches(name);
    case Operation::write:
      return write_.matches(name);
    case Operation::read:
      return read_.matches(name);
  }
  return false;
}

}  // namespace warren::auth
