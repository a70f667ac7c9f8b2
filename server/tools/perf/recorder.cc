// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/recorder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include <fmt/format.h>
#include <unistd.h>

namespace warren::perf {
namespace {

double per_second(std::uint64_t count, const Second& second) {
  return static_cast<double>(count) / std::max(second.seconds, 1e-9);
}

void append_latency(std::string& out, const LatencyHistogram& latency) {
  if (latency.count() == 0) {
    out += ",,,,";
    return;
  }
  fmt::format_to(std::back_inserter(out), ",{:.3f},{:.3f},{:.3f},{:.3f}",
                 latency.percentile_ms(0.5), latency.percentile_ms(0.95),
                 latency.percentile_ms(0.99), latency.max_ms());
}

}  // namespace

std::string csv_header() {
  return "seconds,published,confirmed,consumed,delivery_p50_ms,delivery_p95_ms,delivery_p99_ms,"
         "delivery_max_ms,confirm_p50_ms,confirm_p95_ms,confirm_p99_ms,confirm_max_ms,"
         "server_cores,server_anonymous_mib\n";
}

std::string csv_row(const Second& second) {
  std::string out = fmt::format(
      "{:.3f},{:.1f},{:.1f},{:.1f}", second.at, per_second(second.counters.published, second),
      per_second(second.counters.confirmed, second), per_second(second.counters.consumed, second));
  append_latency(out, second.delivery);
  append_latency(out, second.confirm);
  return out + fmt::format(",{:.3f},{:.1f}\n", second.server_cores, second.server_anonymous_mib);
}

std::string progress_line(const Second& second) {
  std::string out = fmt::format(
      "{:5.0f} s  published {:>9.0f}/s  confirmed {:>9.0f}/s  consumed {:>9.0f}/s", second.at,
      per_second(second.counters.published, second), per_second(second.counters.confirmed, second),
      per_second(second.counters.consumed, second));
  const LatencyHistogram& latency = second.delivery.count() != 0 ? second.delivery : second.confirm;
  if (latency.count() != 0) {
    out += fmt::format("  {} {:.2f} ms, p99 {:.2f} ms",
                       second.delivery.count() != 0 ? "delivery" : "confirm",
                       latency.percentile_ms(0.5), latency.percentile_ms(0.99));
  }
  return out;
}

Result<Recorder> Recorder::open(const OutputOptions& options, std::string label) {
  Recorder recorder;
  recorder.label_ = std::move(label);
  recorder.progress_ = !options.quiet;
  recorder.rewrites_ = ::isatty(STDERR_FILENO) != 0;
  if (options.csv.empty()) return recorder;
  recorder.path_ = options.csv;
  recorder.csv_.open(options.csv);
  if (!recorder.csv_) {
    return Error{Errc::io_error,
                 fmt::format("--csv: cannot write {}: {}", options.csv, std::strerror(errno))};
  }
  recorder.csv_ << csv_header();
  return recorder;
}

void Recorder::add(const Second& second) {
  if (csv_.is_open()) csv_ << csv_row(second) << std::flush;
  if (!progress_) return;
  fmt::print(stderr, "{}{}{}{}", rewrites_ ? "\r" : "", label_, progress_line(second),
             rewrites_ ? "\x1B[K" : "\n");
  line_open_ = rewrites_;
}

Status Recorder::finish() {
  if (line_open_) std::fputs("\n", stderr);
  line_open_ = false;
  if (!csv_.is_open()) return {};
  csv_.close();
  if (!csv_) return Error{Errc::io_error, fmt::format("--csv: cannot write {}", path_)};
  return {};
}

}  // namespace warren::perf
