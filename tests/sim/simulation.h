// SPDX-License-Identifier: Apache-2.0
// One run of the whole broker, decided by its seed: clients, power losses, restarts, and the ledger
// that judges them.
#pragma once

#include <climits>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/actor.h"
#include "tests/sim/ledger.h"
#include "tests/support/sim_broker.h"

namespace warren::test {

class Simulation {
 public:
  static constexpr unsigned kStepsDefault = 3000;

  explicit Simulation(std::uint64_t seed);

  // Empty: all promises were kept. Otherwise the first that was broken.
  std::string run(unsigned steps);
  // Prints what happens to this message, and what the queues are like.
  void trace(SimMessageId id);
  const SimLedger::Stats& stats() const { return ledger_.stats(); }

 private:
  static SimShape draw_shape(std::mt19937_64& random);
  static std::vector<SimFeatures> draw_staying(std::mt19937_64& random, SimQueueIndex first);
  static SimOptions draw_options(std::mt19937_64& random, const SimShape& shape);

  void declare_staying();
  void one_step();
  void disturb();
  void note();
  void add_actor();
  void settle();
  void rest();
  void check_rest();
  void check_counts(SimQueueIndex index);
  static std::string contents(SimClient& client, const std::string& queue);
  void resolve_topology();
  void crash();
  void check_disk();
  void restart();
  void drain_all();
  void drain(SimQueueIndex index);
  void drain_delivery(SimQueueIndex index, const Received& received);
  void check_drained_order(SimMessageId id, SimQueueIndex index, bool redelivered);
  bool exists(SimQueueIndex index);
  bool bound(SimQueueIndex index, int binding);

  std::mt19937_64 random_;
  SimShape shape_;
  SimBroker broker_;
  SimLedger ledger_;
  SimStage stage_;
  std::vector<std::unique_ptr<SimActor>> actors_;
  std::uint32_t next_actor_ = 1;
  // Of the drain under way.
  std::map<std::pair<std::uint64_t, unsigned>, SimMessageId> drained_last_;  // publisher, priority
  std::set<unsigned>
      drained_fresh_;  // priorities of which one came that was never delivered before
  unsigned drained_lane_ = UINT_MAX;
};

}  // namespace warren::test
