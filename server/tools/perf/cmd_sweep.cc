// SPDX-License-Identifier: Apache-2.0
// rates and sizes: the same load again and again, with one thing changed from step to step.
#include <algorithm>
#include <functional>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/load_run.h"
#include "server/tools/perf/table.h"

namespace warren::perf {
namespace {

// A rate is sustained when so much of it was published.
constexpr double kSustained = 0.95;
constexpr std::size_t kStepsMax = 100;

struct Sweep {
  LoadOptions load;
  std::string rates_text;  // empty: from `from` on, `factor` times more each, up to saturation
  double from = 1000;
  double factor = 2;
  double to = 1e8;
  std::string sizes_text = "16,64,256,1024,4096,16384,65536,262144";
};

std::vector<std::string> heads(const char* first) {
  return {first,    "published/s", "consumed/s", "MiB/s",  "us/msg",  "p50 ms",
          "p95 ms", "p99 ms",      "p99.9 ms",   "max ms", "anon MiB"};
}

// Of delivery when there are consumers, else of the confirms.
const LatencyHistogram& latency_of(const LoadReport& report) {
  return report.latency.count() != 0 ? report.latency : report.confirm_latency;
}

const char* latency_note(const LoadReport& report) {
  if (report.latency.count() != 0) return "; ms from publish to delivery";
  return report.confirm_latency.count() != 0 ? "; ms from publish to confirm" : "";
}

std::vector<std::string> row(std::string first, const LoadReport& report) {
  const LatencyHistogram& latency = latency_of(report);
  const auto ms = [&latency](double share) {
    return latency.count() == 0 ? std::string("-")
                                : fmt::format("{:.2f}", latency.percentile_ms(share));
  };
  return {
      std::move(first),
      fmt::format("{:.0f}", report.publish_rate()),
      fmt::format("{:.0f}", report.consume_rate()),
      fmt::format("{:.1f}", report.rate(report.counters.published_bytes) / 0x1p20),
      report.server ? fmt::format("{:.2f}", report.cpu_microseconds_per_message()) : "-",
      ms(0.5),
      ms(0.95),
      ms(0.99),
      ms(0.999),
      latency.count() == 0 ? "-" : fmt::format("{:.2f}", latency.max_ms()),
      report.server ? fmt::format("{:.0f}", mebibytes(report.server->anonymous_peak_bytes)) : "-"};
}

// Runs steps and keeps what is printed at the end.
class Steps {
 public:
  Steps(const LoadOptions& load, const char* what)
      : load_(load), what_(what), table_(heads(what)) {}

  // False when it failed: code() says how.
  bool run(const LoadOptions& step, double value) {
    LoadOptions resolved = step;
    resolved.queues.purge = true;
    const Status status = resolved.resolve();
    if (!status.ok()) return failed(status.error());
    auto report = run_load(resolved, fmt::format("{} {:g}: ", what_, value));
    if (!report.ok()) return failed(report.error());
    table_.add(row(fmt::format("{:g}", value), *report));
    boost::json::object figures = figures_json(*report);
    figures[what_] = value;
    steps_.push_back(std::move(figures));
    if (exit_code(*report) != kExitFine) code_ = exit_code(*report);
    last_ = report.take();
    return true;
  }

  const LoadReport& last() const { return last_; }

  int finish() {
    if (load_.output.json) {
      boost::json::object out = scenario_json(load_);
      out["steps"] = steps_;
      print_json(out);
    } else {
      print(scenario_text(load_) + latency_note(last_) + "\n" + table_.text());
    }
    return code_;
  }
  int code() const { return code_; }

 private:
  bool failed(const Error& error) {
    code_ = fail(error);
    return false;
  }

  const LoadOptions& load_;
  const char* what_;
  Table table_;
  boost::json::array steps_;
  LoadReport last_;
  int code_ = kExitFine;
};

int rates(Sweep& sweep) {
  sweep.load.run.latency = true;
  if (const Status status = sweep.load.resolve(); !status.ok()) return fail(status.error());
  std::vector<double> wanted;
  if (!sweep.rates_text.empty()) {
    auto parsed = parse_numbers(sweep.rates_text);
    if (!parsed.ok()) {
      return fail({Errc::invalid_argument, "--rates: not numbers: " + sweep.rates_text});
    }
    wanted = parsed.take();
    if (std::find(wanted.begin(), wanted.end(), 0.0) != wanted.end()) {
      return fail({Errc::invalid_argument, "--rates: 0 is no rate"});
    }
  }
  Steps steps(sweep.load, "rate");
  double rate = sweep.from;
  for (std::size_t i = 0; i < (wanted.empty() ? kStepsMax : wanted.size()); ++i) {
    if (!wanted.empty()) rate = wanted[i];
    if (wanted.empty() && rate > sweep.to) break;
    LoadOptions step = sweep.load;
    step.traffic.total_rate = rate;
    if (!steps.run(step, rate)) return steps.code();
    const LoadReport& last = steps.last();
    const bool late = last.publish_rate() < kSustained * rate ||
                      (step.traffic.consumers != 0 && last.consume_rate() < kSustained * rate);
    if (wanted.empty() && late) break;
    rate *= sweep.factor;
  }
  return steps.finish();
}

int sizes(Sweep& sweep) {
  if (const Status status = sweep.load.resolve(); !status.ok()) return fail(status.error());
  auto wanted = parse_numbers(sweep.sizes_text);
  if (!wanted.ok()) return fail({Errc::invalid_argument, "--sizes: " + wanted.error().text});
  Steps steps(sweep.load, "size");
  for (const double bytes : *wanted) {
    LoadOptions step = sweep.load;
    step.traffic.sizes_text = fmt::format("{:.0f}", bytes);
    if (!steps.run(step, bytes)) return steps.code();
  }
  return steps.finish();
}

void add_load(CLI::App& command, LoadOptions& load) {
  load.run.seconds = 5;
  load.run.warm_up_seconds = 1;
  add_broker_options(command, load.broker);
  add_traffic_options(command, load.traffic);
  add_queue_options(command, load.queues);
  add_run_options(command, load.run);
  add_output_options(command, load.output);
}

}  // namespace

void add_rates(CLI::App& app, Chosen& chosen) {
  CLI::App* const command =
      app.add_subcommand("rates", "Latency at rising rates, up to saturation");
  const auto sweep = std::make_shared<Sweep>();
  add_load(*command, sweep->load);
  command
      ->add_option("--rates", sweep->rates_text,
                   "These rates of all publishers together, as 1000,5000,20000")
      ->type_name("LIST");
  command->add_option("--from", sweep->from, "Else: the first rate")
      ->check(CLI::Range(1.0, 1e8).description(""))
      ->capture_default_str();
  command->add_option("--to", sweep->to, "... the largest rate to try")->capture_default_str();
  command->add_option("--factor", sweep->factor, "... and how much more each step is")
      ->check(CLI::Range(1.01, 100.0).description(""))
      ->capture_default_str();
  command->footer(
      "Stops at the first rate of which less than 95 % is published or consumed. Latencies count\n"
      "from when a message was due. The queues are emptied before each step.\n"
      "Example: warren-perf rates -p -c 500 -a 20 -P 200 -s 1024 --from 1000 --factor 2\n");
  command->callback([sweep, &chosen] { chosen = [sweep] { return rates(*sweep); }; });
}

void add_sizes(CLI::App& app, Chosen& chosen) {
  CLI::App* const command = app.add_subcommand("sizes", "Throughput by body size");
  const auto sweep = std::make_shared<Sweep>();
  add_load(*command, sweep->load);
  command->add_option("--sizes", sweep->sizes_text, "Body sizes, one step each")
      ->type_name("LIST")
      ->capture_default_str();
  command->footer(
      "The queues are emptied before each step.\n"
      "Example: warren-perf sizes -p -c 500 -a 50 --sizes 16,1KiB,64KiB\n");
  command->callback([sweep, &chosen] { chosen = [sweep] { return sizes(*sweep); }; });
}

}  // namespace warren::perf
