// SPDX-License-Identifier: Apache-2.0
// The whole broker in this process, on a manual clock: waiting costs nothing.
#pragma once

#include <memory>
#include <string>

#include "tests/conformance/world.h"
#include "tests/support/sim_broker.h"

namespace warren::conformance {

class SimWorld final : public World {
 public:
  // Connections are dealt to the shards in turn, the first one away from the control shard; with
  // several shards what they do happens in an order drawn from the seed.
  SimWorld(unsigned shards, std::uint64_t seed);
  ~SimWorld() override;

  std::unique_ptr<Transport> connect() override;
  void wait(Duration duration) override;
  Duration answer_wait() const override { return Duration::zero(); }
  Duration silence_wait() const override { return Duration::zero(); }
  Login login() const override { return {}; }
  bool can_restart() const override { return true; }
  void restart() override;
  void crash() override;

  // Everything that can happen now has happened.
  void settle();
  // REQUIRES: every transport is gone. Serves a new client, and holds nothing for the old ones;
  // afterwards it stops, and its store is whole. Empty, or what is wrong.
  std::string check_sanity();

 private:
  friend class SimTransport;

  std::string check_left_behind();
  std::string check_store();

  test::SimBroker broker_;
  unsigned connections_ = 0;
  // Transports find their clients gone with the broker that they talked to.
  unsigned generation_ = 0;
};

}  // namespace warren::conformance
