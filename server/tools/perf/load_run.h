// SPDX-License-Identifier: Apache-2.0
// One load on one broker, from declaring the queues to the report: what all workloads that publish
// or consume are made of.
#pragma once

#include <string>

#include "storage/base/result.h"

#include "server/tools/perf/options.h"
#include "server/tools/perf/report.h"

namespace warren::perf {

// label: shown in front of each line of progress. Errors: not_found when the broker cannot be
// reached or lets nobody in, invalid_argument for options, else what went wrong.
// REQUIRES: options.resolve() was fine.
Result<LoadReport> run_load(const LoadOptions& options, const std::string& label = {});

}  // namespace warren::perf
