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
    other.read();
    EXPECT_EQ(other.received_count(), before + 1);
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

TEST_F(ShardLoopTest, WhoHangsUpWithSomethingUnreadIsForgotten) {
  LoopClient& other = connect();
  flood();
  for (int i = 0; i < kPublishers; i += 2) publisher(i).reset();
  for (int turn = 0; turn < 100; ++turn) step();
  EXPECT_EQ(broker_.shard(0).session_count(), 1U + kPublishers / 2);
  other.declare("other");
  other.write();
  steps(2);
  broker_.settle();
  steps(2);
  other.read();
  EXPECT_NE(other.last<QueueDeclareOk>(), nullptr);
}

class OverloadedLoopTest : public ShardLoopTest {
 protected:
  OverloadedLoopTest() : ShardLoopTest(small_backlog()) {}

  static SimOptions small_backlog() {
    SimOptions options;
    options.broker_limits.backlog_bytes = 256_KiB;
    return options;
  }
};

TEST_F(OverloadedLoopTest, PublishersWaitForTheDiskAndNobodyElse) {
  LoopClient& publisher = connect();
  LoopClient& other = connect();
  declare(publisher, "q");
  for (int i = 0; i < 2000; ++i) publisher.publish("q", kBody, true);
  for (int turn = 0; turn < 20; ++turn) {
    publisher.write();
    step();
  }
  ASSERT_TRUE(broker_.shard(0).overloaded());
  const std::uint64_t backlog = broker_.backlog();
  for (int turn = 0; turn < 20; ++turn) {
    publisher.write();
    other.declare("q", true);
    other.write();
    step();
    other.read();
    EXPECT_NE(other.last<QueueDeclareOk>(), nullptr);
  }
  EXPECT_EQ(broker_.backlog(), backlog);
  EXPECT_LE(backlog, 256_KiB + kTurnBytes + kShareBytes);
  for (int round = 0; round < 100; ++round) {
    publisher.write();
    step();
    broker_.settle();
  }
  EXPECT_EQ(publisher.unsent(), 0U);
  EXPECT_EQ(depth(broker_.connect(0), "q"), 2000U);
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
  EXPECT_GT(publisher.unsent(), 0U);
  broker_.clock().advance(std::chrono::milliseconds(11));
  for (int round = 0; round < 2000 && publisher.unsent() > 0; ++round) {
    broker_.settle();
    publisher.write();
    step();
  }
  EXPECT_EQ(publisher.unsent(), 0U);
  steps(100);
  EXPECT_FALSE(holds());
  consumer.resume_reading();
  for (int round = 0; round < 100; ++round) {
    broker_.settle();
    delivered += static_cast<std::uint32_t>(consumer.received_count());
    while (consumer.has_received()) consumer.take();
  }
  EXPECT_EQ(delivered, published_);
}

}  // namespace
}  // namespace warren::test
