// SPDX-License-Identifier: Apache-2.0
// Publishes with confirms for as long as the run lasts, reconnecting whenever the broker is back.
#pragma once

#include <deque>
#include <random>
#include <string>

#include "tests/crash/crash_world.h"

namespace warren::test {

// Runs on: a thread of its own (run()).
class CrashPublisher {
 public:
  struct Options {
    std::string exchange;
    std::string routing_key;
    PublisherIndex index = 0;
    double transient_share = 0;
    std::uint64_t seed = 0;
  };

  CrashPublisher(CrashWorld& world, Options options)
      : world_(world), options_(std::move(options)), random_(options_.seed) {}

  void run();

 private:
  bool serve();
  bool publish_some();
  bool read_confirms(Duration wait);
  bool drain_confirms();
  void on_confirm(Bytes payload);

  CrashWorld& world_;
  const Options options_;
  std::mt19937_64 random_;
  perf::WireClient client_;
  std::deque<MessageId> open_;  // tag first_open_ and following
  std::deque<bool> answered_;   // the same
  std::uint64_t first_open_ = 1;
};

}  // namespace warren::test
