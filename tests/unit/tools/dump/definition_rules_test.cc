// SPDX-License-Identifier: Apache-2.0
// Stored definitions that the broker would leave out are found.
#include "server/tools/dump/definition_rules.h"

#include <gmock/gmock.h>

#include "server/amqp/field_table_codec.h"

namespace warren::dump {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DefinitionRules, WhatTheBrokerCannotUseIsFound) {
  storage::PolicyDefinition policy;
  policy.vhost = "/";
  policy.name = "p";
  policy.pattern = "^q";
  amqp::encode_table(policy.definition, amqp::FieldTable().set("max-length", 5));
  storage::PolicyDefinition unusable = policy;
  unusable.name = "unusable";
  unusable.pattern = "(?=a)";
  storage::UserDefinition user;
  user.name = "u";
  user.password_hash = "xx";
  user.hashing_algorithm = "md5";
  storage::Catalog catalog;
  catalog.definitions = {storage::VhostDefinition{"/"}, user, policy, unusable};
  std::vector<std::string> texts;
  for (const storage::Finding& finding : check_definitions(catalog)) {
    texts.push_back(to_text(finding));
  }
  EXPECT_THAT(texts, ElementsAre(HasSubstr("user 'u': the password hash is none that 'md5' makes"),
                                 HasSubstr("policy 'unusable'")));
}

// One that the store has counts, and not another one of the file.
TEST(DefinitionRules, ABindingIsHeldAgainstTheFirstExchangeOfItsName) {
  storage::ExchangeDefinition exchange;
  exchange.vhost = "/";
  exchange.name = "x";
  exchange.type = "x-consistent-hash";
  ExchangeSet exchanges;
  exchanges.add(exchange);
  exchange.type = "direct";
  exchanges.add(exchange);
  storage::BindingDefinition binding;
  binding.vhost = "/";
  binding.source = "x";
  binding.destination = "q";
  binding.routing_key = "key";
  EXPECT_TRUE(exchanges.complaint(binding).has_value());
  binding.routing_key = "7";
  EXPECT_FALSE(exchanges.complaint(binding).has_value());
  binding.vhost = "elsewhere";
  EXPECT_TRUE(exchanges.complaint(binding).has_value());
}

}  // namespace
}  // namespace warren::dump
