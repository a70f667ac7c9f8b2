// SPDX-License-Identifier: Apache-2.0
// throughput: one load, one report.
#include <memory>

#include <CLI/CLI.hpp>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/load_run.h"

namespace warren::perf {
namespace {

int throughput(LoadOptions& options) {
  if (const Status resolved = options.resolve(); !resolved.ok()) return fail(resolved.error());
  const auto report = run_load(options);
  if (!report.ok()) return fail(report.error());
  if (options.output.json) {
    print_json(to_json(*report, options));
  } else {
    print(to_text(*report, options));
  }
  return exit_code(*report);
}

}  // namespace

void add_throughput(CLI::App& app, Chosen& chosen) {
  CLI::App* const command =
      app.add_subcommand("throughput", "Publishers and consumers, as fast as allowed");
  const auto options = std::make_shared<LoadOptions>();
  add_broker_options(*command, options->broker);
  add_traffic_options(*command, options->traffic);
  add_count_options(*command, options->traffic);
  add_queue_options(*command, options->queues);
  add_run_options(*command, options->run);
  add_output_options(*command, options->output);
  add_csv_option(*command, options->output);
  command->footer(
      "Examples:\n"
      "  warren-perf throughput -p -c 1000 -a 100 -P 500 -s 1024   persistent, with confirms\n"
      "  warren-perf throughput -p -c 100 -a 10 -r 5000 -l -s 1024 latency at a fixed rate\n"
      "  warren-perf throughput -x 4 -y 4 --queue-pattern q-%d --queue-pattern-to 4 -V\n"
      "  warren-perf throughput -x 1 -y 0 -C 1000000 -p -c 5000 -s 16:90,4096:10\n");
  command->callback([options, &chosen] { chosen = [options] { return throughput(*options); }; });
}

}  // namespace warren::perf
