// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/report.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace warren::perf {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

double milliseconds(const LatencyHistogram& histogram, double share) {
  return static_cast<double>(histogram.percentile(share)) / 1000;
}

std::string latency_text(const LatencyHistogram& histogram) {
  return fmt::format("median {:.2f}  p95 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} ms",
                     milliseconds(histogram, 0.5), milliseconds(histogram, 0.95),
                     milliseconds(histogram, 0.99), milliseconds(histogram, 0.999),
                     static_cast<double>(histogram.max()) / 1000);
}

std::string latency_json(const LatencyHistogram& histogram) {
  return fmt::format(R"({{"count":{},"p50_ms":{:.3f},"p95_ms":{:.3f},"p99_ms":{:.3f},)"
                     R"("p999_ms":{:.3f},"max_ms":{:.3f}}})",
                     histogram.count(), milliseconds(histogram, 0.5), milliseconds(histogram, 0.95),
                     milliseconds(histogram, 0.99), milliseconds(histogram, 0.999),
                     static_cast<double>(histogram.max()) / 1000);
}

std::string scenario_text(const ThroughputOptions& options) {
  return fmt::format(
      "{} publishers, {} consumers, {} queues, {} B, {}, {}, {}, prefetch {}", options.publishers,
      options.consumers, options.queues, options.body_bytes,
      options.persistent ? "persistent" : "transient",
      options.confirm_window == 0 ? "no confirms"
                                  : fmt::format("confirm window {}", options.confirm_window),
      options.ack_batch == 0 ? "auto-ack" : fmt::format("ack every {}", options.ack_batch),
      options.prefetch);
}

}  // namespace

double ThroughputReport::cpu_microseconds_per_message() const {
  const std::uint64_t messages = counters.published != 0 ? counters.published : counters.consumed;
  if (!server || messages == 0) return 0;
  return server->cpu_seconds * 1e6 / static_cast<double>(messages);
}

std::string progress_line(const Counters& now, const Counters& before, double interval,
                          double elapsed) {
  const auto rate = [interval](std::uint64_t to, std::uint64_t from) {
    return static_cast<double>(to - from) / std::max(interval, 1e-9);
  };
  return fmt::format("{:5.0f} s  published {:>9.0f}/s  confirmed {:>9.0f}/s  consumed {:>9.0f}/s",
                     elapsed, rate(now.published, before.published),
                     rate(now.confirmed, before.confirmed), rate(now.consumed, before.consumed));
}

std::string to_text(const ThroughputReport& report, const ThroughputOptions& options) {
  std::string out = scenario_text(options) + "\n";
  auto line = std::back_inserter(out);
  if (options.publishers != 0) {
    fmt::format_to(line, "published   {:>12} messages  {:>11.0f}/s  {:.1f} MiB/s\n",
                   report.counters.published, report.publish_rate(),
                   report.publish_rate() * options.body_bytes / kMiB);
  }
  if (options.confirm_window != 0) {
    fmt::format_to(line, "confirmed   {:>12} messages  {:>11.0f}/s  ({} nacked, {} returned)\n",
                   report.counters.confirmed, report.confirm_rate(), report.nacked,
                   report.returned);
  }
  if (options.consumers != 0) {
    fmt::format_to(line, "consumed    {:>12} messages  {:>11.0f}/s  ({} redelivered)\n",
                   report.counters.consumed, report.consume_rate(), report.redelivered);
  }
  if (report.latency.count() != 0) {
    fmt::format_to(line, "delivery    {}\n", latency_text(report.latency));
  }
  if (report.confirm_latency.count() != 0) {
    fmt::format_to(line, "confirm     {}\n", latency_text(report.confirm_latency));
  }
  if (report.server) {
    fmt::format_to(line,
                   "broker      {:.2f} us CPU per message, {:.2f} cores, {:.0f} MiB anonymous\n",
                   report.cpu_microseconds_per_message(),
                   report.server->cpu_seconds / std::max(report.seconds, 1e-9),
                   static_cast<double>(report.server->anonymous_bytes) / kMiB);
  }
  return out;
}

std::string to_json(const ThroughputReport& report, const ThroughputOptions& options) {
  std::string out = "{";
  auto at = std::back_inserter(out);
  fmt::format_to(at,
                 R"("publishers":{},"consumers":{},"queues":{},"body_bytes":{},"persistent":{},)"
                 R"("confirm_window":{},"ack_batch":{},"prefetch":{},"seconds":{:.3f},)",
                 options.publishers, options.consumers, options.queues, options.body_bytes,
                 options.persistent, options.confirm_window, options.ack_batch, options.prefetch,
                 report.seconds);
  fmt::format_to(at, R"("published":{},"confirmed":{},"consumed":{},"nacked":{},"returned":{},)",
                 report.counters.published, report.counters.confirmed, report.counters.consumed,
                 report.nacked, report.returned);
  fmt::format_to(at,
                 R"("redelivered":{},"publish_rate":{:.1f},"confirm_rate":{:.1f},)"
                 R"("consume_rate":{:.1f})",
                 report.redelivered, report.publish_rate(), report.confirm_rate(),
                 report.consume_rate());
  if (report.latency.count() != 0) {
    fmt::format_to(at, R"(,"delivery_latency":{})", latency_json(report.latency));
  }
  if (report.confirm_latency.count() != 0) {
    fmt::format_to(at, R"(,"confirm_latency":{})", latency_json(report.confirm_latency));
  }
  if (report.server) {
    fmt::format_to(at,
                   R"(,"server_cpu_seconds":{:.3f},"server_cpu_us_per_message":{:.3f},)"
                   R"("server_anonymous_bytes":{})",
                   report.server->cpu_seconds, report.cpu_microseconds_per_message(),
                   report.server->anonymous_bytes);
  }
  return out + "}\n";
}

}  // namespace warren::perf
