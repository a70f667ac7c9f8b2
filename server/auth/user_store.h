// SPDX-License-Identifier: Apache-2.0
// Who may log in and who may touch what: one shard's replica of users and permissions. Knows
// nothing of connections; the definitions come from the store and from the control shard.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"
#include "storage/engine/definitions.h"

#include "server/auth/permission.h"
#include "server/auth/sasl.h"

namespace warren::auth {

using User = storage::UserDefinition;

bool has_tag(const User& user, std::string_view tag);

// Runs on: its shard.  Owned by: the shard.  Bound: the number of stored definitions.
class UserStore {
 public:
  // loopback_users may log in from this machine only.
  explicit UserStore(std::vector<std::string> loopback_users = {"guest"});

  // Users and permissions; other definitions are ignored, but for the removal of a vhost. Removing
  // a user or a vhost drops their permissions here: whoever removes it from the store removes those
  // permissions with it.
  void apply(const storage::DefinitionChange& change);

  // The error's text says why, for the log; peers are told one text for every reason. The pointer
  // lives until the user is changed or removed.
  Result<const User*> authenticate(const Credentials& credentials, bool peer_is_loopback) const;

  // nullptr when there is none. The pointer lives until the user is changed or removed.
  const User* find(std::string_view user) const;

  // There is a permission for this user in this vhost, even if it allows nothing.
  bool has_access(std::string_view user, std::string_view vhost) const;

  // The default exchange goes by the name "amq.default" in permissions.
  bool allowed(std::string_view user, std::string_view vhost, Operation operation,
               std::string_view resource_name) const;

 private:
  // Either part may come first when a store is read.
  struct Entry {
    std::optional<User> user;
    std::map<std::string, Permission, std::less<>> permissions;  // by vhost
  };

  void put(const User& user);
  void put(const storage::PermissionDefinition& permission);
  void remove(const User& user);
  void remove(const storage::PermissionDefinition& permission);
  void remove(const storage::VhostDefinition& vhost);
  const Permission* find_permission(std::string_view user, std::string_view vhost) const;

  std::vector<std::string> loopback_users_;
  std::map<std::string, Entry, std::less<>> entries_;  // by user name
};

}  // namespace warren::auth
