// SPDX-License-Identifier: Apache-2.0
// Delayed retry (docs/compatibility.md, delayed retry).
#include <chrono>

#include "tests/unit/session/queue_case.h"

namespace warren::test {
namespace {

using namespace std::chrono_literals;
using amqp::FieldTable;

class QueueRetry : public QueueCase {};

// A message that comes back waits, longer each time; others pass it.
TEST_P(QueueRetry, ReturnsWaitBeforeTheyAreTriedAgain) {
  SimClient& a = near();
  SimClient& b = far();
  declare(b, "q",
          FieldTable()
              .set("x-delayed-retry-type", "failed")
              .set("x-delayed-retry-min", 1000)
              .set("x-delayed-retry-max", 1500));
  put(a, "q", "first");
  put(a, "q", "second");
  reject(a, tag_of(get_unacked(a, "q")), true);
  EXPECT_EQ(depth(a, "q"), 1U);
  EXPECT_EQ(get(a, "q").body, "second");
  advance(800ms);
  EXPECT_EQ(depth(a, "q"), 0U);
  advance(300ms);
  const Received again = get_unacked(a, "q");
  EXPECT_EQ(again.body, "first");
  EXPECT_EQ(amqp::as_integer(*headers_of(again).find("x-delivery-count")), 1);
  reject(a, tag_of(again), true);
  advance(1200ms);  // twice the shortest wait would be 2 s: the longest one holds
  EXPECT_EQ(depth(a, "q"), 0U);
  advance(300ms);
  // Given back in another way: at once.
  amqp::BasicNack nack;
  nack.delivery_tag = tag_of(get_unacked(a, "q"));
  nack.requeue = true;
  a.call(1, nack);
  EXPECT_EQ(depth(a, "q"), 1U);
}

TEST_P(QueueRetry, WaitingMessagesAreThereForPurgesDeletesAndRestarts) {
  SimClient& a = near();
  for (const char* queue : {"purged", "kept"}) {
    declare(a, queue, FieldTable().set("x-delayed-retry-min", 60000));
    put(a, queue, "m");
    amqp::BasicNack nack;
    nack.delivery_tag = tag_of(get_unacked(a, queue));
    nack.requeue = true;
    a.call(1, nack);
    EXPECT_EQ(depth(a, queue), 0U);
  }
  amqp::QueueDelete remove;
  remove.queue = "kept";
  remove.if_empty = true;
  SimClient& b = far();
  b.call(1, remove);
  const Received close = b.expect<amqp::ChannelClose>(1);
  EXPECT_EQ(SimClient::as<amqp::ChannelClose>(close).reply_code, 406);
  amqp::QueuePurge purge;
  purge.queue = "purged";
  a.call(1, purge);
  const Received purged = a.expect<amqp::QueuePurgeOk>(1);
  EXPECT_EQ(SimClient::as<amqp::QueuePurgeOk>(purged).message_count, 1U);
  advance(61s);
  EXPECT_EQ(depth(a, "purged"), 0U);
  EXPECT_EQ(depth(a, "kept"), 1U);
  const Received kept = get_unacked(a, "kept");
  amqp::BasicNack nack;
  nack.delivery_tag = tag_of(kept);
  nack.requeue = true;
  a.call(1, nack);
  broker_.crash();
  broker_.start();
  SimClient& after = near();
  const Received back = get(after, "kept");  // at once, flagged, and its returns are known
  EXPECT_EQ(back.body, "m");
  EXPECT_TRUE(SimClient::as<amqp::BasicGetOk>(back).redelivered);
  EXPECT_EQ(amqp::as_integer(*headers_of(back).find("x-delivery-count")), 2);
}

INSTANTIATE_TEST_SUITE_P(Shapes, QueueRetry, all_shapes(), shape_name);

}  // namespace
}  // namespace warren::test
