// SPDX-License-Identifier: Apache-2.0
// Who is read when: consumers and requests before publishers, publishers by turns, and those that
// are to wait not at all (B14, B15, P8).
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/units.h"

#include "server/broker/queue/consumer.h"

#include "tests/support/sim_client.h"
#include "tests/unit/net/loop_rig.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

constexpr int kPublishers = 6;
constexpr std::size_t kBody = 1_KiB;
// As in shard_loop.cc.
constexpr std::size_t kTurnBytes = 256_KiB;
constexpr std::size_t kShareBytes = 64_KiB;

class ShardLoopTest : public LoopRig {
 protected:
  using LoopRig::LoopRig;

  // Connections that publish, each to its queue, and have more to be read than some turns take.
  void flood() {
    for (int i = 0; i < kPublishers; ++i) {
      publishers_.push_back(&connect());
      declare(publisher(i), queue(i));
      publisher(i).publish(queue(i), kBody);
      publisher(i).write();
      steps(3);
    }
    for (int i = 0; i < kPublishers; ++i) {
      for (std::size_t bytes = 0; bytes < 2 * kTurnBytes; bytes += kBody) {
        publisher(i).publish(queue(i), kBody);
      }
      publisher(i).write();
      ASSERT_EQ(publisher(i).unsent(), 0U);  // it all lies ready
    }
  }
  LoopClient& publisher(int i) { return *publishers_[static_cast<std::size_t>(i)]; }
  void expect_read_in_the_next_turn(LoopClient& publisher) {
    publisher.publish("q", kBody);
    publisher.write();
    const std::uint64_t before = bytes_taken();
    step();
    EXPECT_GT(bytes_taken(), before);
  }
  static std::string queue(int i) { return fmt::format("q{}", i); }
  // Published and still there.
  std::uint64_t bytes_taken() { return broker_.shard(0).transient_bytes(); }

  std::vector<LoopClient*> publishers_;
};

TEST_F(ShardLoopTest, ARequestIsAnsweredInTheNextTurnWhoeverPublishes) {
  LoopClient& other = connect();
  declare(other, "other");
  flood();
  for (int round = 0; round < 5; ++round) {
    const std::size_t before = other.received_count();
    other.declare("other", true);
    other.write();
    step();
    EXPECT_TRUE(other.receive(before + 1));
  }
}

TEST_F(ShardLoopTest, PublishersAreReadByTurnsAndNotTooMuchAtOnce) {
  flood();
  constexpr std::size_t kTwiceAround = 2 * kPublishers * kShareBytes / kTurnBytes;
  for (std::size_t turn = 0; turn < kTwiceAround; ++turn) {
    const std::uint64_t before = bytes_taken();
    step();
    EXPECT_LE(bytes_taken() - before, kTurnBytes + kShareBytes);
  }
  SimClient& watcher = broker_.connect(0);
  for (int i = 0; i < kPublishers; ++i) {
    const std::size_t bytes = depth(watcher, queue(i)) * kBody;
    // About two shares each: a read may find less, and another one comes sooner then.
    EXPECT_GT(bytes, kShareBytes / 2);
    EXPECT_LT(bytes, 4 * kShareBytes);
  }
}

TEST_F(ShardLoopTest, PublishersGetTheirPartOfEveryTurnWhoeverElseIsReady) {
  LoopClient& publisher = connect();
  declare(publisher, "q");
  publisher.publish("q", kBody);
  publisher.write();
  std::vector<LoopClient*> others;
  for (int i = 0; i < 150; ++i) others.push_back(&connect());
  for (int turn = 0; turn < 5; ++turn) {
    for (LoopClient* const other : others) {
      other->send_heartbeats(2);
      other->write();
    }
    expect_read_in_the_next_turn(publisher);
  }
}

TEST_F(ShardLoopTest, OneWhoSaysALotStopsNoPublisher) {
  LoopClient& talker = connect();
  LoopClient& publisher = connect();
  declare(publisher, "q");
  publisher.publish("q", kBody);
  publisher.write();
  steps(3);
  for (int turn = 0; turn < 5; ++turn) {
    talker.send_heartbeats(100'000);
    talker.write();
    expect_read_in_the_next_turn(publisher);
  }
}

// P8 is no reason to take somebody for dead.
TEST_F(ShardLoopTest, WhoWaitsToBeReadIsNotSilent) {
  LoopClient& client = connect(1);
  for (int i = 0; i < 10; ++i) {
    client.send_heartbeats(1);
    client.write();
    peer_.look();
    broker_.clock().advance(std::chrono::seconds(1));
    peer_.tick();
  }
  steps(3);
  EXPECT_EQ(broker_.shard(0).session_count(), 1U);
  for (int i = 0; i < 10; ++i) {  // silent indeed
    broker_.clock().advance(std::chrono::seconds(1));
    peer_.tick();
    steps(2);
  }
  EXPECT_EQ(broker_.shard(0).session_count(), 0U);
}

TEST_F(ShardLoopTest, WhoHangsUpWithSomethingUnreadIsForgotten) {
  LoopClient& other = connect();
  flood();
  for (int i = 0; i < kPublishers; i += 2) publisher(i).reset();
  EXPECT_TRUE(
      step_until([this] { return broker_.shard(0).session_count() == 1U + kPublishers / 2; }));
  declare(other, "other");
}

class OverloadedLoopTest : public ShardLoopTest {
 protected:
  static constexpr int kMessages = 2000;

  OverloadedLoopTest() : ShardLoopTest(small_backlog()) {}

  static SimOptions small_backlog() {
    SimOptions options;
    options.broker_limits.backlog_bytes = 256_KiB;
    return options;
  }
  // More than is committed while time stands still.
  void overload(LoopClient& publisher) {
    declare(publisher, "q");
    for (int i = 0; i < kMessages; ++i) publisher.publish("q", kBody, true);
    for (int turn = 0; turn < 20; ++turn) {
      publisher.write();
      step();
    }
    ASSERT_TRUE(broker_.shard(0).overloaded());
  }
};

TEST_F(OverloadedLoopTest, PublishersWaitForTheDiskAndNobodyElse) {
  LoopClient& publisher = connect();
  LoopClient& other = connect();
  overload(publisher);
  const std::uint64_t backlog = broker_.backlog();
  std::size_t answers = other.received_count();
  for (int turn = 0; turn < 20; ++turn) {
    publisher.write();
    other.declare("q", true);
    other.write();
    step();
    EXPECT_TRUE(other.receive(++answers));
  }
  EXPECT_EQ(broker_.backlog(), backlog);
  EXPECT_LE(backlog, 256_KiB + kTurnBytes + kShareBytes);
  SimClient& watcher = broker_.connect(0);
  EXPECT_TRUE(step_until([&] {
    publisher.write();
    return depth(watcher, "q") == kMessages;
  }));
}

TEST_F(OverloadedLoopTest, TheLastWordOfAPublisherIsHeard) {
  LoopClient& publisher = connect();
  overload(publisher);
  const std::size_t before = publisher.received_count();
  peer_.close_connections();
  step();
  ASSERT_TRUE(publisher.receive(before + 1));
  ASSERT_NE(publisher.last<ConnectionClose>(), nullptr);
  publisher.send(0, ConnectionCloseOk{});
  // It says nothing more and hangs up only when it was heard.
  EXPECT_TRUE(step_until([&] {
    publisher.write();
    return publisher.sees_end();
  }));
  EXPECT_TRUE(broker_.shard(0).overloaded());
}

class HeldLoopTest : public ShardLoopTest {
 protected:
  static constexpr std::size_t kLargeBody = 64_KiB;

  HeldLoopTest() : ShardLoopTest(one_window()) {}

  static SimOptions one_window() {
    SimOptions options;
    options.broker_limits.queue_window_bytes = 16_MiB;
    return options;
  }
  void offer(LoopClient& publisher) {
    while (publisher.unsent() < 2 * broker::kConsumerWindowBytes) {
      publisher.publish("q", kLargeBody);
      ++published_;
    }
    publisher.write();
  }
  bool holds() {
    const broker::QueueHandle* const queue =
        broker_.shard(0).topology().find_vhost("/")->find_queue("q");
    return broker_.shard(0).holds(queue->id);
  }

  std::uint32_t published_ = 0;
};

// As hold_test, with what reads the sockets.
TEST_F(HeldLoopTest, WhoPublishesToAQueueThatHoldsIsNotReadUntilItLetsGo) {
  LoopClient& publisher = connect();
  declare(publisher, "q");
  SimClient& consumer = broker_.connect(0);
  BasicConsume consume;
  consume.queue = "q";
  consume.no_ack = true;
  consumer.call(1, consume);
  consumer.expect<BasicConsumeOk>(1);
  std::uint32_t delivered = 0;
  for (int i = 0; i < 2000 && !holds(); ++i) {
    offer(publisher);
    step();
    consumer.move_bytes(1_MiB);
    delivered += static_cast<std::uint32_t>(consumer.received_count());
    while (consumer.has_received()) consumer.take();
    if (delivered > 0) consumer.stop_reading();
  }
  ASSERT_TRUE(holds());
  steps(2);  // what was read already
  const std::uint64_t taken = bytes_taken();
  for (int turn = 0; turn < 200; ++turn) {
    publisher.write();
    step();
  }
  EXPECT_EQ(bytes_taken(), taken);
  broker_.clock().advance(std::chrono::milliseconds(11));
  EXPECT_TRUE(step_until([&] {
    broker_.settle();
    publisher.write();
    return publisher.unsent() == 0;
  }));
  consumer.resume_reading();
  EXPECT_TRUE(step_until([&] {
    broker_.settle();
    delivered += static_cast<std::uint32_t>(consumer.received_count());
    while (consumer.has_received()) consumer.take();
    return delivered == published_;
  }));
  EXPECT_FALSE(holds());
}

}  // namespace
}  // namespace warren::test
