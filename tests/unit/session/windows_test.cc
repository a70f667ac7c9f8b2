// SPDX-License-Identifier: Apache-2.0
// The memory of many deep queues is bounded (B8).
#include <algorithm>

#include <fmt/format.h>

#include "storage/base/units.h"

#include "tests/unit/session/queue_case.h"

namespace warren::test {
namespace {

class Windows : public QueueCase {
 protected:
  static constexpr std::uint64_t kBudget = 1_MiB;
  static constexpr int kQueues = 20;
  static constexpr int kMessages = 400;

  Windows() : QueueCase(small_budget()) {}

  static SimOptions small_budget() {
    SimOptions options = SimCase::options();
    options.broker_limits.windows_bytes_per_shard = kBudget;
    options.broker_limits.queue_window_bytes = 512_KiB;
    options.store_options.chunk_bytes_max = 16_KiB;
    return options;
  }
  std::uint64_t in_memory() {
    std::uint64_t most = 0;
    for (ShardIndex i = 0; i < GetParam().shards; ++i) {
      most = std::max(most, broker_.shard(i).window_bytes());
    }
    return most;
  }
};

TEST_P(Windows, ManyDeepQueuesKeepLittleInMemory) {
  SimClient& client = near();
  const std::string body(1024, 'x');
  for (int queue = 0; queue < kQueues; ++queue) {
    const std::string name = fmt::format("q{}", queue);
    declare(client, name);
    for (int i = 0; i < kMessages; ++i) {
      client.publish(1, {.exchange = {}, .routing_key = name, .body = body});
      if (i % 10 == 9) broker_.settle();
    }
  }
  // 8 MiB were published; each queue keeps what it had when the budget was used up.
  EXPECT_LT(in_memory(), kBudget + 512_KiB + kQueues * 64_KiB);
  EXPECT_GT(in_memory(), 0U);
  // All of it is there.
  for (int queue = 0; queue < kQueues; ++queue) {
    EXPECT_EQ(depth(client, fmt::format("q{}", queue)), static_cast<std::uint32_t>(kMessages));
  }
  for (int queue = 0; queue < kQueues; ++queue) {
    SimClient& consumer = far();
    consume(consumer, fmt::format("q{}", queue));
    EXPECT_EQ(consumer.received_count(), static_cast<std::size_t>(kMessages));
  }
  EXPECT_EQ(in_memory(), 0U);
}

// A little input that is copied to many queues is taken in pieces, a turn for each.
TEST_P(Windows, AFanOutIsReadNoFasterThanItsCopiesAllow) {
  constexpr int kTargets = 100;
  constexpr int kPublishes = 60;
  SimClient& client = near();
  for (int queue = 0; queue < kTargets; ++queue) {
    const std::string name = fmt::format("q{}", queue);
    declare(client, name);
    client.call(1, amqp::QueueBind{.queue = name, .exchange = "amq.fanout"});
    client.expect<amqp::QueueBindOk>(1);
  }
  const std::string body(2048, 'x');
  client.publish(1, {.exchange = "amq.fanout", .routing_key = {}, .body = body});
  broker_.settle();
  const std::string properties("\x10\x00\x02", 3);  // delivery-mode 2 and no more
  std::string input;
  for (int i = 1; i < kPublishes; ++i) {
    amqp::append_method_frame(input, 1, amqp::BasicPublish{.exchange = "amq.fanout"});
    amqp::append_header_frame(input, 1, amqp::kClassBasic, body.size(), properties);
    amqp::append_body_frames(input, 1, body, 0);
  }
  // 12 MiB of copies.
  const std::size_t taken = client.session().on_bytes(input);
  EXPECT_GT(taken, input.size() / 4);
  EXPECT_LT(taken, input.size() / 2);
  EXPECT_TRUE(client.session().held_back());
  client.send_bytes(Bytes(input).substr(taken));
  broker_.settle();
  EXPECT_FALSE(client.session().held_back());
  EXPECT_EQ(depth(client, "q0"), static_cast<std::uint32_t>(kPublishes));
  EXPECT_EQ(depth(client, "q99"), static_cast<std::uint32_t>(kPublishes));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Windows, all_shapes(), shape_name);

}  // namespace
}  // namespace warren::test
