// SPDX-License-Identifier: Apache-2.0
// A whole conversation: bytes into a session of a broker with one or two shards, before or after
// its handshake. Nothing may crash, hang or grow without bound, and another connection goes on
// (P7).
#include <cstddef>
#include <cstdint>

#include "tests/support/sim_client.h"

namespace {

constexpr std::uint8_t kTwoShards = 1;
constexpr std::uint8_t kBeforeHandshake = 2;

warren::test::SimOptions options(std::uint8_t shape) {
  warren::test::SimOptions options;
  options.shards = (shape & kTwoShards) != 0 ? 2 : 1;
  options.broker_limits.queue_window_bytes = 4096;
  options.broker_limits.transient_bytes_per_shard = 4096;
  options.session_limits.message_bytes_max = std::uint64_t{1} << 20;
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t shape = data[0];
  const warren::Bytes input(reinterpret_cast<const char*>(data + 1), size - 1);

  warren::test::SimBroker broker(options(shape));
  warren::test::SimClient& bystander = broker.connect(0);
  bystander.call(1, warren::amqp::QueueDeclare{.queue = "q", .durable = true});
  const warren::ShardIndex far = broker.options().shards - 1;
  warren::test::SimClient& client =
      (shape & kBeforeHandshake) != 0 ? broker.connect_raw(far) : broker.connect(far);
  client.send_bytes(input);
  broker.settle();
  broker.advance(std::chrono::seconds(1));

  // Whatever was said, the others are served.
  WARREN_ASSERT(!bystander.closed_by_server());
  while (bystander.has_received()) bystander.take();
  bystander.call(1, warren::amqp::BasicQos{.prefetch_count = 1});
  WARREN_ASSERT(bystander.has_received());
  broker.disconnect(client);
  broker.settle();
  // What it left on the disk can be started from.
  broker.stop();
  broker.start();
  return 0;
}
