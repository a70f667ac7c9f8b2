// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/workload.h"

#include <algorithm>

#include "tests/bench/broker_workloads.h"
#include "tests/bench/codec_workloads.h"

namespace warren::bench {

const std::vector<WorkloadKind>& workload_kinds() {
  static const std::vector<WorkloadKind> kinds = {
      {"parse", "a publish", make_parse},
      {"field-table", "a table", make_field_table},
      {"route-direct", "a message", make_route_direct},
      {"route-topic", "a message", make_route_topic},
      {"deliver", "a message", make_deliver},
      {"deliver-acked", "a message", make_deliver_acked},
      {"commit", "a message", make_commit},
      {"commit-1k", "a message", make_commit_1k},
      {"commit-shards", "a message", make_commit_shards},
      {"store", "a message", make_store},
      {"read-from-disk", "a message", make_read_from_disk},
      {"subscribe", "a consumer", make_subscribe},
  };
  return kinds;
}

const WorkloadKind* find_workload(std::string_view name) {
  const auto& kinds = workload_kinds();
  const auto at =
      std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind.name == name; });
  return at == kinds.end() ? nullptr : &*at;
}

}  // namespace warren::bench
