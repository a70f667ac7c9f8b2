// SPDX-License-Identifier: Apache-2.0
// Definitions that no client declared are held to what clients are held to.
#include "server/broker/definition_check.h"

#include <gmock/gmock.h>

#include "server/amqp/field_table_codec.h"
#include "server/broker/exchange/delayed.h"

namespace warren::broker {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

storage::ExchangeDefinition exchange(const std::string& type, const amqp::FieldTable& table = {}) {
  storage::ExchangeDefinition out;
  out.vhost = "/";
  out.name = "x";
  out.type = type;
  out.durable = true;
  if (!table.empty()) amqp::encode_table(out.arguments, table);
  return out;
}

storage::QueueDefinition queue(const amqp::FieldTable& table = {}) {
  storage::QueueDefinition out;
  out.vhost = "/";
  out.name = "q";
  out.durable = true;
  if (!table.empty()) amqp::encode_table(out.arguments, table);
  return out;
}

storage::BindingDefinition binding(const std::string& source, const std::string& key) {
  storage::BindingDefinition out;
  out.vhost = "/";
  out.source = source;
  out.destination = "q";
  out.routing_key = key;
  return out;
}

TEST(DefinitionCheck, WhatClientsMayDeclareMayBeStored) {
  EXPECT_EQ(check_definition(storage::VhostDefinition{"/"}), std::nullopt);
  EXPECT_EQ(check_definition(storage::PermissionDefinition{"u", "/", ".*", "^a", ""}),
            std::nullopt);
  const auto delayed =
      exchange("x-delayed-message", amqp::FieldTable().set("x-delayed-type", "topic"));
  EXPECT_EQ(check_definition(delayed), std::nullopt);
  EXPECT_EQ(check_definition(delay_queue(delayed)), std::nullopt);
  storage::QueueDefinition named = queue();
  named.name = "amq.gen-5";  // the server's names are stored, too
  EXPECT_EQ(check_definition(named), std::nullopt);
  EXPECT_EQ(check_definition(binding("x", "a.#")), std::nullopt);
}

TEST(DefinitionCheck, WhatClientsMayNotDeclareIsRefused) {
  EXPECT_THAT(check_definition(storage::PermissionDefinition{"u", "/", ".*", "(", ""}),
              Optional(HasSubstr("'('")));
  EXPECT_THAT(check_definition(exchange("none")), Optional(HasSubstr("'none'")));
  EXPECT_THAT(check_definition(queue(amqp::FieldTable().set("x-expires", 0))),
              Optional(std::string("invalid arg 'x-expires' for queue 'q' in vhost '/': value 0 "
                                   "is below 1")));
  storage::QueueDefinition quorum = queue(amqp::FieldTable().set("x-queue-type", "quorum"));
  EXPECT_EQ(check_definition(quorum), std::nullopt);
  quorum.auto_delete = true;
  EXPECT_THAT(check_definition(quorum), Optional(HasSubstr("auto-delete")));
  storage::QueueDefinition long_name = queue();
  long_name.name = std::string(256, 'q');
  EXPECT_THAT(check_definition(long_name), Optional(HasSubstr("longer than 255")));
  EXPECT_THAT(check_definition(binding("", "q")), Optional(HasSubstr("default exchange")));
  storage::BindingDefinition hidden = binding("x", "");
  hidden.destination = delay_queue_name("x");
  EXPECT_THAT(check_definition(hidden), Optional(HasSubstr("delayed-message")));
}

// How the source routes decides; that of a delayed-message exchange is in its arguments.
TEST(DefinitionCheck, ABindingHasToFitItsSource) {
  const auto hash = exchange("x-consistent-hash");
  EXPECT_EQ(check_stored_binding(binding("x", "5"), &hash), std::nullopt);
  EXPECT_THAT(check_stored_binding(binding("x", "five"), &hash),
              Optional(HasSubstr("must be an integer")));
  const auto delayed =
      exchange("x-delayed-message", amqp::FieldTable().set("x-delayed-type", "x-consistent-hash"));
  EXPECT_THAT(check_stored_binding(binding("x", "five"), &delayed),
              Optional(HasSubstr("must be an integer")));
  EXPECT_EQ(check_stored_binding(binding("amq.topic", "five"), nullptr), std::nullopt);
  EXPECT_THAT(check_stored_binding(binding("x", "five"), nullptr),
              Optional(HasSubstr("no exchange 'x' in vhost '/'")));
}

}  // namespace
}  // namespace warren::broker
