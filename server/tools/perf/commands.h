// SPDX-License-Identifier: Apache-2.0
// The commands of warren-perf. Each adds itself to the program and, when it was chosen, returns the
// exit code.
#pragma once

#include <functional>
#include <string>

#include <boost/json/object.hpp>

#include "storage/base/result.h"

#include "server/tools/perf/options.h"
#include "server/tools/perf/report.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace warren::perf {

inline constexpr int kExitFine = 0;
inline constexpr int kExitFailed = 1;  // the run failed, or did not verify
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCannotConnect = 3;

// Set by the command that was chosen; called once all options are read.
using Chosen = std::function<int()>;

void add_throughput(CLI::App& app, Chosen& chosen);
void add_rates(CLI::App& app, Chosen& chosen);
void add_sizes(CLI::App& app, Chosen& chosen);
void add_compare(CLI::App& app, Chosen& chosen);
void add_churn(CLI::App& app, Chosen& chosen);
void add_counts(CLI::App& app, Chosen& chosen);
void add_deep(CLI::App& app, Chosen& chosen);
void add_plot(CLI::App& app, Chosen& chosen);

// Says it on stderr, and returns the exit code of its kind: not_found is a broker that cannot be
// reached, invalid_argument is usage, all else a failure.
int fail(const Error& error);
// On stdout.
void print(const std::string& text);
void print_json(const boost::json::object& object);
// Whether a report is an exit code of 0.
int exit_code(const LoadReport& report);

}  // namespace warren::perf
