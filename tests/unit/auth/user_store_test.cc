// SPDX-License-Identifier: Apache-2.0
#include "server/auth/user_store.h"

#include <string>

#include <gtest/gtest.h>

#include "server/auth/password.h"

namespace warren::auth {
namespace {

using storage::DefinitionChange;
using storage::PermissionDefinition;
using storage::VhostDefinition;

User user(const std::string& name, const std::string& password = "secret") {
  return {.name = name,
          .password_hash = hash_password(password, Salt{}),
          .hashing_algorithm = std::string(kHashingSha256),
          .tags = {"monitoring"}};
}

PermissionDefinition permission(const std::string& user, const std::string& vhost,
                                const std::string& configure = ".*",
                                const std::string& write = ".*", const std::string& read = ".*") {
  return {.user = user, .vhost = vhost, .configure = configure, .write = write, .read = read};
}

void put(UserStore& store, storage::Definition definition) {
  store.apply({.kind = DefinitionChange::Kind::put, .definition = std::move(definition)});
}

void remove(UserStore& store, storage::Definition definition) {
  store.apply({.kind = DefinitionChange::Kind::remove, .definition = std::move(definition)});
}

TEST(Authenticate, RightPasswordGivesTheUser) {
  UserStore store;
  put(store, user("anna"));
  const auto found = store.authenticate({.user = "anna", .password = "secret"}, false);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->name, "anna");
  EXPECT_TRUE(has_tag(**found, "monitoring"));
  EXPECT_FALSE(has_tag(**found, "impersonator"));
}

TEST(Authenticate, WrongPasswordAndUnknownUserAreRefused) {
  UserStore store;
  put(store, user("anna"));
  const auto wrong = store.authenticate({.user = "anna", .password = "guess"}, true);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().text, "user 'anna': wrong password");
  EXPECT_FALSE(store.authenticate({.user = "bert", .password = "secret"}, true).ok());
  EXPECT_FALSE(store.authenticate({.user = "", .password = ""}, true).ok());
}

TEST(Authenticate, GuestLogsInFromThisMachineOnly) {
  UserStore store;
  put(store, user("guest", "guest"));
  EXPECT_TRUE(store.authenticate({.user = "guest", .password = "guest"}, true).ok());
  EXPECT_FALSE(store.authenticate({.user = "guest", .password = "guest"}, false).ok());
}

TEST(Authenticate, LoopbackUsersAreChosenByTheOperator) {
  UserStore store(std::vector<std::string>{});
  put(store, user("guest", "guest"));
  EXPECT_TRUE(store.authenticate({.user = "guest", .password = "guest"}, false).ok());
}

TEST(Authenticate, ChangedPasswordCountsAtOnce) {
  UserStore store;
  put(store, user("anna", "old"));
  put(store, user("anna", "new"));
  EXPECT_FALSE(store.authenticate({.user = "anna", .password = "old"}, true).ok());
  EXPECT_TRUE(store.authenticate({.user = "anna", .password = "new"}, true).ok());
}

TEST(Permissions, AccessIsARowForTheVhost) {
  UserStore store;
  put(store, user("anna"));
  put(store, permission("anna", "/", "", "", ""));
  EXPECT_TRUE(store.has_access("anna", "/"));
  EXPECT_FALSE(store.has_access("anna", "other"));
  EXPECT_FALSE(store.has_access("bert", "/"));
}

TEST(Permissions, EachOperationHasItsExpression) {
  UserStore store;
  put(store, user("anna"));
  put(store, permission("anna", "/", "^mine", "^(mine|shared)", ".*"));
  const auto allowed = [&](Operation operation, std::string_view name) {
    return store.allowed("anna", "/", operation, name);
  };
  EXPECT_TRUE(allowed(Operation::configure, "mine.queue"));
  EXPECT_FALSE(allowed(Operation::configure, "shared"));
  EXPECT_TRUE(allowed(Operation::write, "shared"));
  EXPECT_FALSE(allowed(Operation::write, "other"));
  EXPECT_TRUE(allowed(Operation::read, "other"));
  EXPECT_FALSE(store.allowed("anna", "other", Operation::read, "mine"));
  EXPECT_FALSE(store.allowed("bert", "/", Operation::read, "mine"));
}

TEST(Permissions, ExpressionsAreUnanchored) {
  const Pattern pattern("mine");
  EXPECT_TRUE(pattern.matches("not-mine-at-all"));
  EXPECT_FALSE(pattern.matches("yours"));
}

TEST(Permissions, EmptyExpressionAllowsNothing) {
  const Pattern pattern("");
  EXPECT_FALSE(pattern.matches("x"));
  EXPECT_FALSE(pattern.matches(""));
}

TEST(Permissions, UnreadableExpressionAllowsNothing) {
  for (const std::string expression : {"(", "(?=x)x", "(x)\\1", "x{1001}"}) {
    EXPECT_FALSE(valid_pattern(expression)) << expression;
    EXPECT_FALSE(Pattern(expression).matches("x")) << expression;
  }
  EXPECT_FALSE(valid_pattern(std::string(5000, 'x')));
  EXPECT_TRUE(valid_pattern(""));
  EXPECT_TRUE(valid_pattern("^(amq\\.gen.*|amq\\.default)$"));
}

TEST(Permissions, NamesAreBytes) {
  EXPECT_TRUE(Pattern("^.*$").matches("\xFF\xFE"));
  EXPECT_TRUE(Pattern("^q\xC3\xA9$").matches("q\xC3\xA9"));
}

TEST(Permissions, DefaultExchangeHasAName) {
  UserStore store;
  put(store, user("anna"));
  put(store, permission("anna", "/", "", "^amq\\.default$", ""));
  EXPECT_TRUE(store.allowed("anna", "/", Operation::write, ""));
  EXPECT_FALSE(store.allowed("anna", "/", Operation::read, ""));
}

TEST(Permissions, TheUserMayComeLast) {
  UserStore store;
  put(store, permission("anna", "/"));
  EXPECT_FALSE(store.has_access("anna", "/"));
  put(store, user("anna"));
  EXPECT_TRUE(store.allowed("anna", "/", Operation::read, "q"));
}

TEST(Permissions, ReplacedAndRemoved) {
  UserStore store;
  put(store, user("anna"));
  put(store, permission("anna", "/"));
  put(store, permission("anna", "/", "", "", ""));
  EXPECT_FALSE(store.allowed("anna", "/", Operation::read, "q"));
  remove(store, permission("anna", "/"));
  EXPECT_FALSE(store.has_access("anna", "/"));
  EXPECT_NE(store.find("anna"), nullptr);
}

TEST(Permissions, GoWithTheirUser) {
  UserStore store;
  put(store, user("anna"));
  put(store, permission("anna", "/"));
  remove(store, user("anna"));
  EXPECT_EQ(store.find("anna"), nullptr);
  put(store, user("anna"));
  EXPECT_FALSE(store.has_access("anna", "/"));
}

TEST(Permissions, GoWithTheirVhost) {
  UserStore store;
  put(store, user("anna"));
  put(store, permission("anna", "/"));
  put(store, permission("anna", "other"));
  remove(store, VhostDefinition{.name = "other"});
  EXPECT_FALSE(store.has_access("anna", "other"));
  EXPECT_TRUE(store.has_access("anna", "/"));
}

}  // namespace
}  // namespace warren::auth
