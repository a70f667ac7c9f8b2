// SPDX-License-Identifier: Apache-2.0
// The throughput workload: sets up queues and connections, lets them run on some threads, measures
// a stretch of it, and closes everything so that all that was published has been read.
#pragma once

#include "storage/base/result.h"

#include "server/tools/perf/report.h"
#include "server/tools/perf/throughput_options.h"

namespace warren::perf {

Result<ThroughputReport> run_throughput(const ThroughputOptions& options);

}  // namespace warren::perf
