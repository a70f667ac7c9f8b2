// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/crew.h"

namespace warren::perf {
namespace {

constexpr std::size_t kQuestionsPerConnection = 100;

}  // namespace

Result<std::vector<WireClient>> connect_crew(const Uri& uri, std::size_t questions) {
  const std::size_t size =
      std::clamp<std::size_t>(questions / kQuestionsPerConnection, 1, kCrewMax);
  std::vector<WireClient> crew;
  while (crew.size() < size) {
    WARREN_TRY(WireClient client, connect(uri));
    crew.push_back(std::move(client));
  }
  return crew;
}

Status close_crew(std::span<WireClient> crew) {
  for (WireClient& client : crew) WARREN_CHECK(client.close());
  return {};
}

}  // namespace warren::perf
