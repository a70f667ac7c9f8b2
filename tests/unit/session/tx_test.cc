// SPDX-License-Identifier: Apache-2.0
// Class tx (conformance rule 58), and what must be one commit: transactions and dead-letterings
// over several shards (B10, B11).
#include "tests/support/sim_case.h"

namespace warren::test {
namespace {

using amqp::FieldTable;

class Tx : public SimCase {
 protected:
  static SimOptions seeded(int round) {
    SimOptions with_seed = options();
    with_seed.seed = static_cast<std::uint64_t>(round) + 1;
    return with_seed;
  }
  static void select(SimClient& client) {
    client.call(1, amqp::TxSelect{});
    client.expect<amqp::TxSelectOk>(1);
  }
  static void commit(SimClient& client) {
    client.call(1, amqp::TxCommit{});
    client.expect<amqp::TxCommitOk>(1);
  }
  static void rollback(SimClient& client) {
    client.call(1, amqp::TxRollback{});
    client.expect<amqp::TxRollbackOk>(1);
  }
  void put(SimClient& client, const std::string& queue, const std::string& body) {
    PublishOptions options;
    options.routing_key = queue;
    options.body = body;
    publish(client, options);
  }
  static std::uint64_t get_unacked(SimClient& client, const std::string& queue) {
    amqp::BasicGet get;
    get.queue = queue;
    client.call(1, get);
    return SimClient::as<amqp::BasicGetOk>(client.expect<amqp::BasicGetOk>(1)).delivery_tag;
  }
  static void ack(SimClient& client, std::uint64_t tag) {
    amqp::BasicAck ack;
    ack.delivery_tag = tag;
    client.call(1, ack);
  }
};

TEST_P(Tx, NothingIsThereBeforeTheCommit) {
  SimClient& a = near();
  SimClient& b = far();
  declare(a, "near");
  declare(b, "far");
  select(a);
  select(a);
  put(a, "near", "1");
  put(a, "far", "2");
  EXPECT_EQ(depth(b, "near") + depth(b, "far"), 0U);
  commit(a);
  EXPECT_EQ(get(b, "near").body, "1");
  EXPECT_EQ(get(b, "far").body, "2");
  commit(a);  // nothing to do
}

TEST_P(Tx, ARollbackForgetsPublishesAndGivesTagsBack) {
  SimClient& a = near();
  declare(a, "q");
  put(a, "q", "m1");
  put(a, "q", "m2");
  select(a);
  const std::uint64_t first = get_unacked(a, "q");
  const std::uint64_t second = get_unacked(a, "q");
  put(a, "q", "forgotten");
  ack(a, second);
  rollback(a);
  EXPECT_EQ(depth(a, "q"), 0U);
  ack(a, first);
  ack(a, second);
  commit(a);
  a.call(1, amqp::BasicRecover{.requeue = true});
  a.expect<amqp::BasicRecoverOk>(1);
  EXPECT_EQ(depth(a, "q"), 0U);
}

TEST_P(Tx, AcksWaitForTheCommitButUnknownTagsDoNot) {
  SimClient& a = near();
  SimClient& b = far();
  declare(b, "q");
  put(b, "q", "m");
  select(a);
  ack(a, get_unacked(a, "q"));
  broker_.disconnect(a);
  broker_.settle();
  EXPECT_EQ(depth(b, "q"), 1U);
  SimClient& c = near();
  select(c);
  ack(c, 77);
  c.expect_channel_close(1, 406, "unknown delivery tag 77");
}

TEST_P(Tx, RejectionsDeadLetterAtTheCommit) {
  SimClient& a = near();
  declare(far(), "dead");
  declare(a, "q",
          FieldTable().set("x-dead-letter-exchange", "").set("x-dead-letter-routing-key", "dead"));
  put(a, "q", "m");
  select(a);
  amqp::BasicReject reject;
  reject.delivery_tag = get_unacked(a, "q");
  a.call(1, reject);
  EXPECT_EQ(depth(a, "dead"), 0U);
  commit(a);
  EXPECT_EQ(depth(a, "dead"), 1U);
}

TEST_P(Tx, MandatoryIsReturnedAtTheCommit) {
  SimClient& a = near();
  select(a);
  PublishOptions options;
  options.routing_key = "nobody";
  options.body = "m";
  options.mandatory = true;
  publish(a, options);
  a.expect_nothing();
  a.call(1, amqp::TxCommit{});
  EXPECT_EQ(a.expect<amqp::BasicReturn>(1).body, "m");
  a.expect<amqp::TxCommitOk>(1);
}

TEST_P(Tx, ModesDoNotMix) {
  SimClient& a = near();
  a.call(1, amqp::TxCommit{});
  a.expect_channel_close(1, 406, "channel is not transactional");
  SimClient& b = near();
  b.call(1, amqp::TxRollback{});
  b.expect_channel_close(1, 406, "channel is not transactional");
  SimClient& c = near();
  select(c);
  c.call(1, amqp::ConfirmSelect{});
  c.expect_channel_close(1, 406, "cannot switch from tx to confirm mode");
  SimClient& d = near();
  confirm_mode(d);
  d.call(1, amqp::TxSelect{});
  d.expect_channel_close(1, 406, "cannot switch from confirm to tx mode");
}

// B11: power is lost after any number of commits of the disk: all of a transaction is there, or
// nothing of it, and all of it once commit-ok was out.
TEST_P(Tx, ACrashLeavesAllOfATransactionOrNothing) {
  for (int round = 0; round < 200; ++round) {
    const int steps = round % 20;
    SimBroker broker(seeded(round));
    SimClient& a = broker.connect(GetParam().near);
    SimClient& b = broker.connect(GetParam().far);
    declare(a, "near");
    declare(b, "far");
    declare(b, "source");
    a.publish(1, {"", "source", "m"});
    broker.settle();
    select(a);
    const std::uint64_t tag = get_unacked(a, "source");
    ack(a, tag);
    for (int i = 0; i < 3; ++i) {
      a.publish(1, {"", "near", "n"});
      a.publish(1, {"", "far", "f"});
    }
    a.send(1, amqp::TxCommit{});
    for (int i = 0; i < steps; ++i) broker.step();
    const bool told = a.has_received();
    broker.crash();
    broker.start();
    SimClient& c = broker.connect(0);
    const auto near = depth(c, "near");
    const auto far = depth(c, "far");
    const auto source = depth(c, "source");
    const bool all = near == 3 && far == 3 && source == 0;
    const bool nothing = near == 0 && far == 0 && source == 1;
    EXPECT_TRUE(all || (nothing && !told)) << "after " << steps << " steps: " << near << " " << far
                                           << " " << source << (told ? ", told" : "");
  }
}

// B10: the same for a message that is dead-lettered to two queues on other shards.
TEST_P(Tx, ACrashLeavesADeadLetterInOnePlace) {
  for (int round = 0; round < 400; ++round) {
    const int steps = round % 40;
    SimBroker broker(seeded(round));
    SimClient& a = broker.connect(GetParam().near);
    SimClient& b = broker.connect(GetParam().far);
    exchange(a, "dlx", "fanout");
    declare(b, "dead1");
    declare(a, "dead2");
    bind(a, "dead1", "dlx", "");
    bind(a, "dead2", "dlx", "");
    declare(a, "q", FieldTable().set("x-dead-letter-exchange", "dlx"));
    for (int i = 0; i < 5; ++i) a.publish(1, {"", "q", "m"});
    broker.settle();
    consume(b, "q", "c", false);
    for (int i = 0; i < 5; ++i) b.next_delivery();
    amqp::BasicNack nack;
    nack.delivery_tag = 5;
    nack.multiple = true;
    nack.requeue = false;
    b.send(1, nack);
    for (int i = 0; i < steps; ++i) {
      broker.step();
      if (i % 4 == 3)
        broker.clock().advance(std::chrono::milliseconds(6));  // nobody waits for the disk
    }
    broker.crash();
    broker.start();
    SimClient& c = broker.connect(0);
    EXPECT_EQ(depth(c, "dead1"), depth(c, "dead2"));
    EXPECT_EQ(depth(c, "dead1") + depth(c, "q"), 5U) << "after " << steps << " steps";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Tx, all_shapes(), shape_name);

}  // namespace
}  // namespace warren::test
