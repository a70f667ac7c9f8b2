// SPDX-License-Identifier: Apache-2.0
#include "server/auth/user_store.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "server/auth/password.h"

namespace warren::auth {
namespace {

constexpr std::string_view kDefaultExchangeName = "amq.default";
constexpr std::size_t kQuotedNameBytesMax = 255;  // of a name that a peer made up

Error refused(std::string_view user, std::string_view why) {
  return Error{Errc::invalid_argument,
               fmt::format("user '{}': {}", user.substr(0, kQuotedNameBytesMax), why)};
}

}  // namespace

bool has_tag(const User& user, std::string_view tag) {
  return std::find(user.tags.begin(), user.tags.end(), tag) != user.tags.end();
}

UserStore::UserStore(std::vector<std::string> loopback_users)
    : loopback_users_(std::move(loopback_users)) {}

void UserStore::apply(const storage::DefinitionChange& change) {
  using Kind = storage::DefinitionChange::Kind;
  std::visit(
      [&](const auto& definition) {
        using Definition = std::decay_t<decltype(definition)>;
        constexpr bool kIsUser = std::is_same_v<Definition, User>;
        constexpr bool kIsPermission = std::is_same_v<Definition, storage::PermissionDefinition>;
        constexpr bool kIsVhost = std::is_same_v<Definition, storage::VhostDefinition>;
        if constexpr (kIsUser || kIsPermission) {
          if (change.kind == Kind::put) put(definition);
        }
        if constexpr (kIsUser || kIsPermission || kIsVhost) {
          if (change.kind == Kind::remove) remove(definition);
        }
      },
      change.definition);
}

Result<const User*> UserStore::authenticate(const Credentials& credentials,
                                            bool peer_is_loopback) const {
  const User* user = find(credentials.user);
  if (user == nullptr) return refused(credentials.user, "no such user");
  const bool loopback_only = std::find(loopback_users_.begin(), loopback_users_.end(),
                                       credentials.user) != loopback_users_.end();
  if (loopback_only && !peer_is_loopback) {
    return refused(credentials.user, "may only log in from this machine");
  }
  if (!verify_password(*user, credentials.password)) {
    return refused(credentials.user, "wrong password");
  }
  return user;
}

const User* UserStore::find(std::string_view user) const {
  const auto found = entries_.find(user);
  return found == entries_.end() || !found->second.user ? nullptr : &*found->second.user;
}

bool UserStore::has_access(std::string_view user, std::string_view vhost) const {
  return find_permission(user, vhost) != nullptr;
}

bool UserStore::allowed(std::string_view user, std::string_view vhost, Operation operation,
                        std::string_view resource_name) const {
  const Permission* permission = find_permission(user, vhost);
  if (permission == nullptr) return false;
  return permission->allows(operation,
                            resource_name.empty() ? kDefaultExchangeName : resource_name);
}

void UserStore::put(const User& user) {
  entries_[user.name].user = user;
}

void UserStore::put(const storage::PermissionDefinition& permission) {
  entries_[permission.user].permissions.insert_or_assign(permission.vhost, Permission(permission));
}

void UserStore::remove(const User& user) {
  entries_.erase(user.name);
}

void UserStore::remove(const storage::PermissionDefinition& permission) {
  const auto found = entries_.find(permission.user);
  if (found == entries_.end()) return;
  found->second.permissions.erase(permission.vhost);
  if (!found->second.user && found->second.permissions.empty()) entries_.erase(found);
}

void UserStore::remove(const storage::VhostDefinition& vhost) {
  for (auto& [name, entry] : entries_) entry.permissions.erase(vhost.name);
  std::erase_if(entries_, [](const auto& item) {
    return !item.second.user && item.second.permissions.empty();
  });
}

// Without the user itself a permission counts for nothing.
const Permission* UserStore::find_permission(std::string_view user, std::string_view vhost) const {
  const auto entry = entries_.find(user);
  if (entry == entries_.end() || !entry->second.user) return nullptr;
  const auto found = entry->second.permissions.find(vhost);
  return found == entry->second.permissions.end() ? nullptr : &found->second;
}

}  // namespace warren::auth
