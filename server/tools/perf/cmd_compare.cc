// SPDX-License-Identifier: Apache-2.0
// compare: the same load on several brokers in turn, A B A B.
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/comparison.h"
#include "server/tools/perf/connect.h"
#include "server/tools/perf/load_run.h"

namespace warren::perf {
namespace {

constexpr double kWarmRunSeconds = 2;

struct Compare {
  LoadOptions load;
  std::vector<std::string> uris;
  std::vector<std::string> names;
  unsigned pairs = 5;
  double pause_seconds = 0.5;
};

Result<std::vector<LoadOptions>> loads_of(Compare& compare) {
  std::vector<LoadOptions> loads;
  for (const std::string& uri : compare.uris) {
    LoadOptions load = compare.load;
    load.broker.uri_text = uri;
    load.queues.purge = true;
    load.queues.remove = true;
    WARREN_CHECK(load.resolve());
    loads.push_back(std::move(load));
  }
  if (!compare.names.empty() && compare.names.size() != loads.size()) {
    return Error{Errc::invalid_argument, "--names: not as many as URIs"};
  }
  return loads;
}

std::vector<std::string> names_of(const Compare& compare, const std::vector<LoadOptions>& loads) {
  if (!compare.names.empty()) return compare.names;
  std::vector<std::string> names;
  for (const LoadOptions& load : loads) names.push_back(address_of(load.broker.uri));
  return names;
}

void pause(const Compare& compare) {
  std::this_thread::sleep_for(std::chrono::duration<double>(compare.pause_seconds));
}

int run(Compare& compare) {
  auto loads = loads_of(compare);
  if (!loads.ok()) return fail(loads.error());
  const std::vector<std::string> names = names_of(compare, *loads);
  Comparison comparison(names);
  for (unsigned pair = 0; pair <= compare.pairs; ++pair) {
    for (std::size_t i = 0; i < loads->size(); ++i) {
      // The first round only warms them.
      LoadOptions load = (*loads)[i];
      if (pair == 0) load.run.seconds = std::min(load.run.seconds, kWarmRunSeconds);
      const std::string label = pair == 0
                                    ? fmt::format("{} warm-up: ", names[i])
                                    : fmt::format("{} {}/{}: ", names[i], pair, compare.pairs);
      const auto report = run_load(load, label);
      if (!report.ok()) return fail(explain(names[i], report.error()));
      if (exit_code(*report) != kExitFine) {
        return fail({Errc::internal, fmt::format("{}:\n{}", names[i], to_text(*report, load))});
      }
      if (pair != 0) comparison.add(i, *report);
      pause(compare);
    }
  }
  if (compare.load.output.json) {
    boost::json::object out = scenario_json((*loads)[0]);
    out["pairs"] = compare.pairs;
    out["seconds_each"] = compare.load.run.seconds;
    for (auto& member : comparison.json()) out[member.key()] = member.value();
    print_json(out);
  } else {
    print(fmt::format("{}; {} rounds of {:g} s\n{}", scenario_text((*loads)[0]), compare.pairs,
                      compare.load.run.seconds, comparison.text()));
  }
  return kExitFine;
}

}  // namespace

void add_compare(CLI::App& app, Chosen& chosen) {
  CLI::App* const command =
      app.add_subcommand("compare", "The same load on several brokers in turn: medians and ratios");
  const auto compare = std::make_shared<Compare>();
  compare->load.run.seconds = 5;
  compare->load.run.warm_up_seconds = 1;
  command->add_option("URI", compare->uris, "Brokers; the first is held against the others")
      ->required()
      ->expected(1, 10);
  command->add_option("--names", compare->names, "What to call them, in this order")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME,NAME");
  command->add_option("--pairs", compare->pairs, "Rounds, after one that only warms up")
      ->check(CLI::Range(1, 1000).description(""))
      ->capture_default_str();
  command->add_option("--pause", compare->pause_seconds, "Seconds of rest between runs")
      ->check(CLI::Range(0.0, 600.0).description(""))
      ->capture_default_str();
  add_traffic_options(*command, compare->load.traffic);
  add_count_options(*command, compare->load.traffic);
  add_queue_options(*command, compare->load.queues);
  add_run_options(*command, compare->load.run);
  add_output_options(*command, compare->load.output);
  command->footer(
      "The queues are emptied before and deleted after each run. CPU and memory are those of the\n"
      "processes behind the ports, when the brokers run on this machine.\n"
      "Example: warren-perf compare amqp://127.0.0.1:5672 amqp://127.0.0.1:5673 \\\n"
      "           --names warren,other -p -c 1000 -a 100 -s 1024 --pairs 5\n");
  command->callback([compare, &chosen] { chosen = [compare] { return run(*compare); }; });
}

}  // namespace warren::perf
