// SPDX-License-Identifier: Apache-2.0
// connection.update-secret (docs/compatibility.md, update-secret; conformance rule 82).
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class UpdateSecret : public SimCase {
 protected:
  void allow_read(const std::string& pattern) {
    for (ShardIndex shard = 0; shard < GetParam().shards; ++shard) {
      broker_.shard(shard).on_access_changed(
          {storage::DefinitionChange::Kind::put,
           storage::PermissionDefinition{"guest", "/", ".*", ".*", pattern}});
    }
  }
  static void update(SimClient& client, const char* secret) {
    ConnectionUpdateSecret method;
    method.new_secret = secret;
    method.reason = "it expires";
    client.call(0, method);
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, UpdateSecret, all_shapes(), shape_name);

TEST_P(UpdateSecret, TakesThePasswordAndNothingElse) {
  SimClient& client = near();
  update(client, "guest");
  client.expect<ConnectionUpdateSecretOk>(0);
  declare(client, "q");
  update(client, "wrong");
  client.expect_connection_close(530, "New secret was refused");
}

TEST_P(UpdateSecret, IsNotHeardBeforeTheConnectionIsOpen) {
  SimClient& client = broker_.connect_raw();
  client.send_bytes(kProtocolHeader);
  update(client, "guest");
  client.expect<ConnectionStart>(0);
  client.expect_connection_close(503, "unexpected connection.update-secret");
}

TEST_P(UpdateSecret, CancelsConsumersThatMayNotReadAnyMore) {
  SimClient& client = near();
  SimClient& owner = far();
  for (const char* const queue : {"open", "secret"}) {
    declare(owner, queue);
    consume(client, queue, queue, false);
  }
  publish(owner, {.exchange = {}, .routing_key = "secret", .body = "held"});
  EXPECT_EQ(client.next_delivery(), "1 - held");
  allow_read("^open$");
  // Not before the client asks for it.
  publish(owner, {.exchange = {}, .routing_key = "secret", .body = "read"});
  EXPECT_EQ(client.next_delivery(), "2 - read");

  update(client, "guest");
  client.expect<ConnectionUpdateSecretOk>(0);
  const Received cancel = client.expect<BasicCancel>(1);
  EXPECT_EQ(SimClient::as<BasicCancel>(cancel).consumer_tag, "secret");
  publish(owner, {.exchange = {}, .routing_key = "secret", .body = "kept"});
  publish(owner, {.exchange = {}, .routing_key = "open", .body = "m"});
  EXPECT_EQ(client.next_delivery(), "3 - m");
  client.expect_nothing();
  // What it held stays its own until it is settled (conformance rule 45).
  EXPECT_EQ(depth(owner, "secret"), 1U);
  client.call(1, BasicReject{.delivery_tag = 1, .requeue = true});
  EXPECT_EQ(depth(owner, "secret"), 2U);
}

}  // namespace
}  // namespace warren::test
