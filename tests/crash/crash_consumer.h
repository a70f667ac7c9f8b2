// SPDX-License-Identifier: Apache-2.0
// Consumes with acks, sometimes requeues, sometimes just hangs up; or drains a queue to the end.
#pragma once

#include <deque>
#include <optional>
#include <random>
#include <string>

#include "tests/crash/crash_world.h"

namespace warren::test {

// Runs on: a thread of its own (run()), or the driver's (drain()).
class CrashConsumer {
 public:
  struct Options {
    std::string queue;
    QueueIndex index = 0;
    PublisherIndex fences = 0;  // transactions behind acks
    std::uint64_t seed = 0;
  };

  CrashConsumer(CrashWorld& world, Options options)
      : world_(world), options_(std::move(options)), random_(options_.seed) {}

  void run();
  // Takes and acknowledges everything, in order, until the queue is empty.
  Status drain();

 private:
  struct Delivery {
    std::uint64_t tag = 0;
    MessageId id;
  };

  bool consume(std::uint16_t prefetch);
  bool serve();
  void end();
  // Handles what arrives; false when the connection is gone.
  bool read_some(Duration wait);
  void on_frame(const amqp::Frame& frame);
  void on_whole_message();
  bool settle_some();
  bool send_fence();
  void on_fence_answer(Bytes payload);
  bool ack_all();
  std::optional<std::uint32_t> ready_count();

  CrashWorld& world_;
  const Options options_;
  std::mt19937_64 random_;
  perf::WireClient client_;
  ConsumerIndex consumer_ = 0;
  std::deque<Delivery> unacked_;
  // A transaction under way, of one publish to the queue: when it is durable the acks ahead of it
  // are. (A confirm would not do: it comes at once for a message that was consumed meanwhile.)
  struct Fence {
    MessageId id;
    std::uint64_t acks = 0;
  };
  std::optional<Fence> fence_;
  std::uint64_t tag_ = 0;  // of the message that is arriving
  bool redelivered_ = false;
  std::uint64_t body_size_ = 0;
  std::string body_;
};

}  // namespace warren::test
