// SPDX-License-Identifier: Apache-2.0
// The only notion of threading that storage has: run this later, on that shard. Asio in production,
// a step loop in the simulator.
#pragma once

#include <functional>

namespace warren {

class Executor {
 public:
  virtual ~Executor() = default;
  // Thread safety: any thread. Functions posted by one thread run in the order they were posted.
  virtual void post(std::function<void()> function) = 0;
};

}  // namespace warren
