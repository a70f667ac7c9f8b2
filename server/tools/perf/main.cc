// SPDX-License-Identifier: Apache-2.0
// warren-perf: loads an AMQP broker and says what it took. Exit: 0 fine, 1 the run failed or did
// not verify, 2 usage, 3 cannot connect.
#include <csignal>

#include <CLI/CLI.hpp>

#include "server/tools/base/completion.h"
#include "server/tools/base/parse_failure.h"
#include "server/tools/perf/commands.h"
#include "server/tools/perf/connect.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  warren::perf::raise_file_limit();
  warren::perf::Chosen chosen;
  CLI::App app{"Loads an AMQP 0-9-1 broker, this one or another, and reports what it did."};
  app.name("warren-perf");
  app.get_formatter()->column_width(36);
  app.set_version_flag("--version", std::string("warren-perf ") + WARREN_VERSION);
  app.require_subcommand(1);
  app.footer(
      "warren-perf COMMAND --help shows options and examples.\n"
      "Exit codes: 0 fine, 1 failed or not verified, 2 usage, 3 cannot connect.\n"
      "More: docs/performance.md.\n");
  warren::perf::add_throughput(app, chosen);
  warren::perf::add_rates(app, chosen);
  warren::perf::add_sizes(app, chosen);
  warren::perf::add_compare(app, chosen);
  warren::perf::add_churn(app, chosen);
  warren::perf::add_counts(app, chosen);
  warren::perf::add_deep(app, chosen);
  warren::perf::add_plot(app, chosen);
  warren::tools::add_completion(
      app, chosen,
      {{"--exchange-type",
        "direct fanout topic headers x-consistent-hash x-modulus-hash x-random x-local-random"}});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = warren::tools::report_parse_failure(app, error);
    return code == 0 ? warren::perf::kExitFine : warren::perf::kExitUsage;
  }
  return chosen();
}
