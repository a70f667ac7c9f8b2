// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/report.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr double kBusy = 0.9;

std::string latency_text(const LatencyHistogram& histogram) {
  return fmt::format("median {:.2f}  p95 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} ms",
                     histogram.percentile_ms(0.5), histogram.percentile_ms(0.95),
                     histogram.percentile_ms(0.99), histogram.percentile_ms(0.999),
                     histogram.max_ms());
}

boost::json::object latency_json(const LatencyHistogram& histogram) {
  return {{"count", histogram.count()},
          {"p50_ms", histogram.percentile_ms(0.5)},
          {"p95_ms", histogram.percentile_ms(0.95)},
          {"p99_ms", histogram.percentile_ms(0.99)},
          {"p999_ms", histogram.percentile_ms(0.999)},
          {"max_ms", histogram.max_ms()}};
}

std::string count_text(unsigned count, unsigned channels, std::string_view what) {
  if (channels == 1) return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  return fmt::format("{} x {} {}s", count, channels, what);
}

void append_verdict(std::string& out, const Verdict& verdict) {
  fmt::format_to(std::back_inserter(out),
                 "verified    {:>12} messages  {}: {} lost, {} duplicated, {} out of order, "
                 "{} damaged ({} repeated with the flag, {} from before)\n",
                 verdict.checked, verdict.ok() ? "sound" : "NOT SOUND", verdict.lost,
                 verdict.duplicated, verdict.reordered, verdict.damaged, verdict.repeated,
                 verdict.foreign);
}

void append_costs(std::string& out, const LoadReport& report) {
  auto line = std::back_inserter(out);
  if (report.server) {
    fmt::format_to(line,
                   "broker      {:.2f} us CPU per message, {:.2f} cores, {:.0f} MiB anonymous "
                   "(peak {:.0f}), {:.0f} MiB resident at most\n",
                   report.cpu_microseconds_per_message(),
                   report.server->cpu_seconds / std::max(report.seconds, 1e-9),
                   mebibytes(report.server->anonymous_bytes),
                   mebibytes(report.server->anonymous_peak_bytes),
                   mebibytes(report.server->resident_peak_bytes));
  }
  fmt::format_to(line, "client      {:.2f} cores, busiest of {} threads {:.0f} %{}\n",
                 report.client.cores, report.client.threads, report.client.busiest * 100,
                 report.client.busiest > kBusy ? ": it may be the limit (--client-threads)" : "");
}

}  // namespace

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1024.0 * 1024.0);
}

double rounded(double value, int digits) {
  const double factor = std::pow(10, digits);
  return std::round(value * factor) / factor;
}

Counters Counters::minus(const Counters& earlier) const {
  return {.published = published - earlier.published,
          .confirmed = confirmed - earlier.confirmed,
          .consumed = consumed - earlier.consumed,
          .published_bytes = published_bytes - earlier.published_bytes,
          .consumed_bytes = consumed_bytes - earlier.consumed_bytes};
}

double LoadReport::cpu_microseconds_per_message() const {
  const std::uint64_t messages = counters.published != 0 ? counters.published : counters.consumed;
  if (!server || messages == 0) return 0;
  return server->cpu_seconds * 1e6 / static_cast<double>(messages);
}

std::string scenario_text(const LoadOptions& options) {
  const TrafficOptions& traffic = options.traffic;
  std::string out = fmt::format(
      "{}, {}, {}, {}, {}", count_text(traffic.publishers, traffic.publisher_channels, "publisher"),
      count_text(traffic.consumers, traffic.consumer_channels, "consumer"),
      count_text(options.queues.to - options.queues.from + 1, 1, "queue"), traffic.sizes.text(),
      traffic.persistent ? "persistent" : "transient");
  auto more = std::back_inserter(out);
  if (traffic.publish_tx != 0) {
    fmt::format_to(more, ", transactions of {}", traffic.publish_tx);
  } else if (traffic.confirm_window != 0) {
    fmt::format_to(more, ", confirm window {}", traffic.confirm_window);
  } else {
    out += ", no confirms";
  }
  if (traffic.consumers != 0) {
    if (traffic.poll) out += ", basic.get";
    if (traffic.ack_batch == 0) {
      out += ", auto-ack";
    } else {
      fmt::format_to(more, ", ack every {}", traffic.ack_batch);
    }
    if (traffic.ack_tx != 0) fmt::format_to(more, " in transactions of {}", traffic.ack_tx);
    fmt::format_to(more, ", prefetch {}", traffic.prefetch);
  }
  if (traffic.rate_each() > 0) fmt::format_to(more, ", {:g}/s each", traffic.rate_each());
  return out;
}

boost::json::object scenario_json(const LoadOptions& options) {
  const TrafficOptions& traffic = options.traffic;
  return {{"publishers", traffic.publishing()},
          {"consumers", traffic.consuming()},
          {"queues", options.queues.to - options.queues.from + 1},
          {"size", traffic.sizes.text()},
          {"persistent", traffic.persistent},
          {"confirm_window", traffic.confirm_window},
          {"publish_tx", traffic.publish_tx},
          {"ack_batch", traffic.ack_batch},
          {"ack_tx", traffic.ack_tx},
          {"prefetch", traffic.prefetch},
          {"poll", traffic.poll},
          {"rate_each", traffic.rate_each()}};
}

std::string to_text(const LoadReport& report, const LoadOptions& options) {
  std::string out = scenario_text(options) + "\n";
  auto line = std::back_inserter(out);
  const TrafficOptions& traffic = options.traffic;
  if (traffic.publishers != 0) {
    fmt::format_to(line, "published   {:>12} messages  {:>11.0f}/s  {:.1f} MiB/s{}\n",
                   report.counters.published, report.publish_rate(),
                   report.rate(report.counters.published_bytes) / 0x1p20,
                   report.returned != 0 ? fmt::format("  ({} returned)", report.returned) : "");
  }
  if (traffic.confirm_window != 0 || traffic.publish_tx != 0) {
    fmt::format_to(line, "{}   {:>12} messages  {:>11.0f}/s  ({} nacked)\n",
                   traffic.publish_tx != 0 ? "committed" : "confirmed", report.counters.confirmed,
                   report.confirm_rate(), report.nacked);
  }
  if (traffic.consumers != 0) {
    fmt::format_to(line,
                   "consumed    {:>12} messages  {:>11.0f}/s  {:.1f} MiB/s  ({} redelivered{})\n",
                   report.counters.consumed, report.consume_rate(),
                   report.rate(report.counters.consumed_bytes) / 0x1p20, report.redelivered,
                   traffic.poll ? fmt::format(", {} empty gets", report.empty_gets) : "");
  }
  if (report.latency.count() != 0) {
    fmt::format_to(line, "delivery    {}\n", latency_text(report.latency));
  }
  if (report.confirm_latency.count() != 0) {
    fmt::format_to(line, "confirm     {}\n", latency_text(report.confirm_latency));
  }
  append_costs(out, report);
  if (report.verdict) append_verdict(out, *report.verdict);
  return out;
}

boost::json::object figures_json(const LoadReport& report) {
  boost::json::object out = {{"seconds", rounded(report.seconds, 3)},
                             {"published", report.counters.published},
                             {"confirmed", report.counters.confirmed},
                             {"consumed", report.counters.consumed},
                             {"published_bytes", report.counters.published_bytes},
                             {"consumed_bytes", report.counters.consumed_bytes},
                             {"nacked", report.nacked},
                             {"returned", report.returned},
                             {"redelivered", report.redelivered},
                             {"publish_rate", rounded(report.publish_rate(), 1)},
                             {"confirm_rate", rounded(report.confirm_rate(), 1)},
                             {"consume_rate", rounded(report.consume_rate(), 1)},
                             {"client_cores", rounded(report.client.cores, 3)},
                             {"client_busiest_thread", rounded(report.client.busiest, 3)}};
  if (report.latency.count() != 0) out["delivery_latency"] = latency_json(report.latency);
  if (report.confirm_latency.count() != 0) {
    out["confirm_latency"] = latency_json(report.confirm_latency);
  }
  if (report.server) {
    out["server_cpu_seconds"] = rounded(report.server->cpu_seconds, 3);
    out["server_cpu_us_per_message"] = rounded(report.cpu_microseconds_per_message(), 3);
    out["server_anonymous_bytes"] = report.server->anonymous_bytes;
    out["server_anonymous_peak_bytes"] = report.server->anonymous_peak_bytes;
    out["server_resident_peak_bytes"] = report.server->resident_peak_bytes;
  }
  if (report.verdict) {
    const Verdict& verdict = *report.verdict;
    out["verified"] = {{"sound", verdict.ok()},          {"checked", verdict.checked},
                       {"lost", verdict.lost},           {"duplicated", verdict.duplicated},
                       {"reordered", verdict.reordered}, {"damaged", verdict.damaged},
                       {"repeated", verdict.repeated},   {"foreign", verdict.foreign}};
  }
  return out;
}

boost::json::object to_json(const LoadReport& report, const LoadOptions& options) {
  boost::json::object out = scenario_json(options);
  for (const auto& member : figures_json(report)) out[member.key()] = member.value();
  return out;
}

}  // namespace warren::perf
