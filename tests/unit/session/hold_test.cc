// SPDX-License-Identifier: Apache-2.0
// A queue holds its publishers back while its consumers nearly keep up, and never for long (B15).
#include <algorithm>

#include "storage/base/units.h"

#include "server/broker/queue/consumer.h"

#include "tests/unit/session/queue_case.h"

namespace warren::test {
namespace {

using namespace amqp;  // NOLINT: methods by their AMQP names

class Hold : public QueueCase {
 protected:
  static constexpr std::uint64_t kWindow = 16_MiB;
  static constexpr std::size_t kBody = 64_KiB;

  Hold() : QueueCase(one_window()) {}

  static SimOptions one_window() {
    SimOptions options = SimCase::options();
    options.broker_limits.queue_window_bytes = kWindow;
    return options;
  }
  // More than a consumer's window, offered at once.
  void offer(SimClient& publisher, const std::string& queue = "q") {
    while (publisher.unsent_bytes() < 2 * broker::kConsumerWindowBytes) {
      publisher.publish(1, {.exchange = {},
                            .routing_key = queue,
                            .body = std::string(kBody, 'x'),
                            .persistent = false});
      ++published_;
    }
  }
  // Time stands still.
  void steps(int count) {
    for (int i = 0; i < count; ++i) broker_.step();
  }
  std::uint64_t in_memory() {
    std::uint64_t bytes = 0;
    for (ShardIndex i = 0; i < GetParam().shards; ++i) bytes += broker_.shard(i).window_bytes();
    return bytes;
  }
  void take_all(SimClient& consumer) {
    while (consumer.has_received()) {
      const Received received = consumer.take();
      if (std::holds_alternative<BasicDeliver>(received.method)) ++delivered_;
    }
  }
  // The consumer has just taken something, and takes no more; the queue waits for it.
  void hold(SimClient& publisher, SimClient& consumer) {
    for (int i = 0; i < 2000 && !publisher.session().held_by_queue(); ++i) {
      offer(publisher);
      steps(1);
      take_all(consumer);
      if (delivered_ > 0) consumer.stop_reading();
    }
    ASSERT_TRUE(publisher.session().held_by_queue());
    offer(publisher);
  }
  void expect_held(SimClient& publisher) {
    const std::uint64_t taken = publisher.taken_bytes();
    steps(200);
    EXPECT_EQ(publisher.taken_bytes(), taken);
    EXPECT_LT(in_memory(), kWindow);
  }
  void expect_goes_on(SimClient& publisher) {
    broker_.settle();
    EXPECT_EQ(publisher.unsent_bytes(), 0U);
    EXPECT_FALSE(publisher.session().held_by_queue());
  }

  unsigned published_ = 0;
  unsigned delivered_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Shards, Hold, all_shapes(), shape_name);

TEST_P(Hold, ConsumersThatKeepTakingAreWaitedFor) {
  for (const bool at_publisher : {true, false}) {
    const std::string queue = at_publisher ? "p" : "c";
    SimClient& publisher = near();
    SimClient& consumer = far();
    declare(at_publisher ? publisher : consumer, queue);
    consume(consumer, queue);
    std::uint64_t most = 0;
    published_ = delivered_ = 0;
    for (int i = 0; i < 1500; ++i) {
      offer(publisher, queue);
      steps(1);
      take_all(consumer);
      most = std::max(most, in_memory());
    }
    EXPECT_GT(delivered_, 500U);
    EXPECT_LT(most, kWindow);
    broker_.settle();
    take_all(consumer);
    EXPECT_EQ(delivered_, published_);
  }
}

TEST_P(Hold, AConsumerThatStopsIsWaitedForShortly) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  consume(consumer, "q");
  hold(publisher, consumer);
  expect_held(publisher);
  broker_.clock().advance(std::chrono::milliseconds(5));
  expect_held(publisher);
  expect_goes_on(publisher);
  // Not again, now that it is known to stand still.
  for (int i = 0; i < 20; ++i) {
    offer(publisher);
    steps(20);
    EXPECT_FALSE(publisher.session().held_by_queue());
  }
  consumer.resume_reading();
  broker_.settle();
  take_all(consumer);
  EXPECT_EQ(delivered_, published_);
}

TEST_P(Hold, AConsumerAtItsPrefetchHoldsNobody) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  consumer.call(1, BasicQos{.prefetch_count = 3});
  consumer.expect<BasicQosOk>(1);
  consume(consumer, "q", "c", false);
  for (int i = 0; i < 500; ++i) {
    offer(publisher);
    steps(1);
    take_all(consumer);
    ASSERT_FALSE(publisher.session().held_by_queue());
  }
  EXPECT_EQ(delivered_, 3U);
}

TEST_P(Hold, AQueueWithoutConsumersHoldsNobody) {
  SimClient& publisher = near();
  declare(far(), "q");
  for (int i = 0; i < 300; ++i) {
    offer(publisher);
    steps(1);
    ASSERT_FALSE(publisher.session().held_by_queue());
  }
}

TEST_P(Hold, WhoPublishesElsewhereIsNotHeld) {
  SimClient& publisher = near();
  SimClient& other = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  declare(other, "other");
  consume(consumer, "q");
  hold(publisher, consumer);
  offer(other, "other");
  steps(200);
  EXPECT_EQ(other.unsent_bytes(), 0U);
  expect_held(publisher);
}

TEST_P(Hold, ItGoesOnWhenTheQueueIsDeleted) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  SimClient& other = far();
  declare(publisher, "q");
  consume(consumer, "q");
  hold(publisher, consumer);
  QueueDelete remove;
  remove.queue = "q";
  other.send(1, remove);
  for (int i = 0; i < 2000 && publisher.session().held_by_queue(); ++i) steps(1);
  EXPECT_FALSE(publisher.session().held_by_queue());  // in no time
  expect_goes_on(publisher);
  other.expect<QueueDeleteOk>(1);
}

TEST_P(Hold, ItGoesOnWhenTheConsumerIsGone) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  consume(consumer, "q");
  hold(publisher, consumer);
  broker_.disconnect(consumer);
  expect_goes_on(publisher);
}

TEST_P(Hold, ItGoesOnWhenTheQueueIsPurged) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  consume(consumer, "q");
  hold(publisher, consumer);
  SimClient& other = far();
  QueuePurge purge;
  purge.queue = "q";
  other.call(1, purge);
  other.expect<QueuePurgeOk>(1);
  expect_goes_on(publisher);
}

TEST_P(Hold, AHeldPublisherMayLeave) {
  SimClient& publisher = near();
  SimClient& consumer = far();
  declare(publisher, "q");
  consume(consumer, "q");
  hold(publisher, consumer);
  broker_.disconnect(publisher);
  consumer.resume_reading();
  broker_.settle();
  EXPECT_EQ(in_memory(), 0U);
}

// Its own consumer is behind with what it published: it reads only what comes after.
TEST_P(Hold, OneThatConsumesWhatItPublishesGoesOn) {
  SimClient& client = near();
  declare(far(), "q");
  consume(client, "q");
  for (int i = 0; i < 300; ++i) {
    offer(client);
    steps(3);
    take_all(client);
    if (i % 50 == 0) client.stop_reading();
    if (i % 50 == 5) client.resume_reading();
  }
  client.resume_reading();
  expect_goes_on(client);
  take_all(client);
  EXPECT_EQ(delivered_, published_);
}

}  // namespace
}  // namespace warren::test
