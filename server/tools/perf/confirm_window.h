// SPDX-License-Identifier: Apache-2.0
// The publishes of a channel that are not answered yet. Answers may come in any order, each once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/tools/perf/latency_histogram.h"

namespace warren::perf {

// Bound: `size` open publishes.
class ConfirmWindow {
 public:
  explicit ConfirmWindow(std::uint32_t size);

  // How many more may be opened.
  std::uint64_t room() const { return size_ - (next_ - settled_below_); }
  // The next publish, which was due at that time. REQUIRES: room() != 0.
  void open(std::uint64_t at_us);
  // Its answer came. Adds the latencies; how many it settled goes to `settled`. An error text when
  // the answer is for nothing that is open, else empty.
  std::string settle(std::uint64_t tag, bool multiple, std::uint64_t now_us,
                     LatencyHistogram* latency, std::uint64_t& settled);

 private:
  struct Slot {
    std::uint64_t at_us = 0;
    bool answered = false;
  };

  Slot& slot(std::uint64_t tag) { return ring_[tag & (ring_.size() - 1)]; }

  std::uint32_t size_;
  std::vector<Slot> ring_;           // by tag
  std::uint64_t next_ = 1;           // the tag of the next publish
  std::uint64_t settled_below_ = 1;  // every tag below is answered
};

}  // namespace warren::perf
