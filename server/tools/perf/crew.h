// SPDX-License-Identifier: Apache-2.0
// Several connections that ask many questions together: each has a batch of them under way, so that
// round trips do not add up, and brokers that commit in groups have something to group.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "storage/base/result.h"

#include "server/tools/perf/connect.h"
#include "server/tools/perf/wire_client.h"

namespace warren::perf {

inline constexpr std::size_t kCrewMax = 32;
inline constexpr std::size_t kAskedAtOnce = 64;  // by each

// As many connections as so many questions are worth, each with channel 1 open.
Result<std::vector<WireClient>> connect_crew(const Uri& uri, std::size_t questions);
Status close_crew(std::span<WireClient> crew);

// append(client, index) appends the question of each index below `count`, take(client, index) reads
// its answer; of one client the answers are read in the order of its questions.
template <class Client, class Append, class Take>
Status ask_many(std::span<Client> crew, std::size_t count, Append append, Take take) {
  for (std::size_t first = 0; first < count; first += crew.size() * kAskedAtOnce) {
    const auto each = [&](std::size_t member, auto what) -> Status {
      const std::size_t from = std::min(count, first + member * kAskedAtOnce);
      const std::size_t to = std::min(count, from + kAskedAtOnce);
      for (std::size_t index = from; index < to; ++index) WARREN_CHECK(what(crew[member], index));
      return {};
    };
    for (std::size_t member = 0; member < crew.size(); ++member) {
      WARREN_CHECK(each(member, [&](Client& client, std::size_t index) -> Status {
        append(client, index);
        return {};
      }));
      WARREN_CHECK(crew[member].flush());
    }
    for (std::size_t member = 0; member < crew.size(); ++member) WARREN_CHECK(each(member, take));
  }
  return {};
}

}  // namespace warren::perf
