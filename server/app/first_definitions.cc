// SPDX-License-Identifier: Apache-2.0
#include "server/app/first_definitions.h"

#include "server/auth/password.h"

namespace warren::app {

std::vector<storage::Definition> first_definitions() {
  storage::UserDefinition guest;
  guest.name = "guest";
  guest.password_hash = auth::hash_password("guest", auth::random_salt());
  guest.hashing_algorithm = auth::kHashingSha256;
  guest.tags = {"administrator"};
  storage::PermissionDefinition all;
  all.user = "guest";
  all.vhost = "/";
  all.configure = ".*";
  all.write = ".*";
  all.read = ".*";
  return {storage::VhostDefinition{"/"}, guest, all};
}

}  // namespace warren::app
