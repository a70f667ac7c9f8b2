// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tests/bench/workload.h"

namespace warren::bench {

std::unique_ptr<Workload> make_parse();         // a publish of 16 bytes, as a client sends it
std::unique_ptr<Workload> make_field_table();   // a table of eight headers, decoded and encoded
std::unique_ptr<Workload> make_route_direct();  // among 1000 bindings
std::unique_ptr<Workload> make_route_topic();   // among 1000 patterns

}  // namespace warren::bench
