// SPDX-License-Identifier: Apache-2.0
// Writes whole publishes. All that does not change is made once: what is left per message is
// copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/tools/perf/options.h"
#include "server/tools/perf/stamp.h"
#include "server/tools/perf/topology.h"

namespace warren::perf {

class MessageMaker {
 public:
  // A head per target and priority: those of a target lie side by side.
  MessageMaker(const TrafficOptions& traffic, const std::vector<Target>& targets,
               std::uint16_t channel, std::uint32_t frame_max);

  std::size_t heads() const { return heads_.size(); }
  std::size_t size(std::size_t head, std::uint32_t body_bytes) const;
  // Writes size() bytes at `to`, returns the end.
  char* write(char* to, std::size_t head, std::uint32_t body_bytes, const Stamp& stamp) const;

 private:
  struct Head {
    std::string bytes;             // method frame and header frame
    std::size_t body_size_at = 0;  // in bytes
  };

  char* write_body(char* to, std::uint32_t body_bytes, const Stamp& stamp) const;

  std::uint16_t channel_;
  std::uint32_t frame_body_max_;
  std::vector<Head> heads_;
};

}  // namespace warren::perf
