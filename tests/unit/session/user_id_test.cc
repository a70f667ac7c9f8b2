// SPDX-License-Identifier: Apache-2.0
// The property user-id has to be the user who publishes, but for impersonators (conformance
// rule 34).
#include "server/auth/password.h"

#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class UserId : public SimCase {
 protected:
  void tag_guest(std::vector<std::string> tags) {
    storage::UserDefinition guest;
    guest.name = "guest";
    guest.password_hash = auth::hash_password("guest", auth::Salt{'s', 'a', 'l', 't'});
    guest.hashing_algorithm = auth::kHashingSha256;
    guest.tags = std::move(tags);
    for (ShardIndex shard = 0; shard < GetParam().shards; ++shard) {
      broker_.shard(shard).on_access_changed({storage::DefinitionChange::Kind::put, guest});
    }
  }
  void publish_as(SimClient& client, const char* user) {
    client.send(1, BasicPublish{.routing_key = "q"});
    std::string properties;
    encode_properties(properties, PropertiesView{.user_id = ShortString(user)});
    std::string header;
    append_header_frame(header, 1, kClassBasic, 0, properties);
    client.send_bytes(header);
    broker_.settle();
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, UserId, all_shapes(), shape_name);

TEST_P(UserId, IsFreeForImpersonatorsOnly) {
  SimClient& client = near();
  declare(client, "q");
  tag_guest({"impersonator"});
  publish_as(client, "somebody");
  client.expect_nothing();
  tag_guest({"administrator"});
  publish_as(client, "somebody");
  client.expect_channel_close(1, 406, "user_id property set to 'somebody'");
}

}  // namespace
}  // namespace warren::test
