// SPDX-License-Identifier: Apache-2.0
// warren-perf: loads an AMQP broker and says what it took. Exit: 0 done, 1 the run failed, 2 usage.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/perf/workload_throughput.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int throughput(warren::perf::ThroughputOptions& options) {
  const auto uri = warren::perf::parse_uri(options.uri_text);
  if (!uri.ok()) {
    fmt::print(stderr, "warren-perf: --uri: {}\n", uri.error().text);
    return kExitUsage;
  }
  options.uri = *uri;
  const auto report = warren::perf::run_throughput(options);
  if (!report.ok()) {
    fmt::print(stderr, "warren-perf: {}\n", report.error().text);
    return kExitFailed;
  }
  const std::string text = options.json ? to_json(*report, options) : to_text(*report, options);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Loads an AMQP broker and reports rates, latencies and what the broker spent."};
  app.name("warren-perf");
  app.set_version_flag("--version", std::string("warren-perf ") + WARREN_VERSION);
  app.require_subcommand(1);
  warren::perf::ThroughputOptions options;
  CLI::App* const command = app.add_subcommand(
      "throughput", "Publishers and consumers on durable queues, as fast as allowed");
  add_throughput_options(*command, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kExitUsage;
  }
  return throughput(options);
}
