// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/comparison.h"

#include <algorithm>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "server/tools/perf/table.h"

namespace warren::perf {
namespace {

double of_server(const LoadReport& report, std::uint64_t ServerCost::*member) {
  return report.server ? mebibytes((*report.server).*member) : -1;
}

double of_latency(const LatencyHistogram& latency, double share) {
  return latency.count() == 0 ? -1 : latency.percentile_ms(share);
}

// 1240x, 12.4x, 0.0124x.
std::string times_text(double ratio) {
  return ratio >= 100 ? fmt::format("{:.0f}x", ratio) : fmt::format("{:.3g}x", ratio);
}

double rate_or_unknown(double rate) {
  return rate > 0 ? rate : -1;
}

}  // namespace

struct Comparison::Figure {
  const char* key;   // in JSON
  const char* text;  // in the table
  int digits;
  double (*take)(const LoadReport&);  // negative: unknown
};

const std::vector<Comparison::Figure>& Comparison::figures() {
  static const std::vector<Figure> kFigures = {
      {"publish_rate", "published/s", 0,
       [](const LoadReport& r) { return rate_or_unknown(r.publish_rate()); }},
      {"consume_rate", "consumed/s", 0,
       [](const LoadReport& r) { return rate_or_unknown(r.consume_rate()); }},
      {"server_cpu_us_per_message", "broker CPU us/msg", 2,
       [](const LoadReport& r) { return r.server ? r.cpu_microseconds_per_message() : -1; }},
      {"server_anonymous_peak_mib", "anonymous peak MiB", 0,
       [](const LoadReport& r) { return of_server(r, &ServerCost::anonymous_peak_bytes); }},
      {"server_resident_peak_mib", "resident peak MiB", 0,
       [](const LoadReport& r) { return of_server(r, &ServerCost::resident_peak_bytes); }},
      {"delivery_p50_ms", "delivery median ms", 2,
       [](const LoadReport& r) { return of_latency(r.latency, 0.5); }},
      {"delivery_p95_ms", "delivery p95 ms", 2,
       [](const LoadReport& r) { return of_latency(r.latency, 0.95); }},
      {"delivery_p99_ms", "delivery p99 ms", 2,
       [](const LoadReport& r) { return of_latency(r.latency, 0.99); }},
      {"confirm_p50_ms", "confirm median ms", 2,
       [](const LoadReport& r) { return of_latency(r.confirm_latency, 0.5); }},
      {"confirm_p99_ms", "confirm p99 ms", 2,
       [](const LoadReport& r) { return of_latency(r.confirm_latency, 0.99); }},
      {"client_busiest_thread", "busiest client thread", 2,
       [](const LoadReport& r) { return r.client.busiest; }},
  };
  return kFigures;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Comparison::Comparison(std::vector<std::string> names) {
  for (std::string& name : names) {
    brokers_.push_back({std::move(name), std::vector<std::vector<double>>(figures().size()), {}});
  }
}

void Comparison::add(std::size_t index, const LoadReport& report) {
  Broker& broker = brokers_[index];
  for (std::size_t i = 0; i < figures().size(); ++i) {
    broker.values[i].push_back(figures()[i].take(report));
  }
  broker.runs.push_back(figures_json(report));
}

bool Comparison::known(std::size_t figure) const {
  return std::all_of(brokers_.begin(), brokers_.end(), [figure](const Broker& broker) {
    const auto& values = broker.values[figure];
    return !values.empty() &&
           std::all_of(values.begin(), values.end(), [](double v) { return v >= 0; });
  });
}

double Comparison::ratio(std::size_t figure, const Broker& other) const {
  std::vector<double> ratios;
  const auto& mine = brokers_[0].values[figure];
  const auto& theirs = other.values[figure];
  for (std::size_t i = 0; i < std::min(mine.size(), theirs.size()); ++i) {
    if (theirs[i] > 0) ratios.push_back(mine[i] / theirs[i]);
  }
  return median(std::move(ratios));
}

std::string Comparison::text() const {
  std::vector<std::string> heads = {"median"};
  for (const Broker& broker : brokers_) heads.push_back(broker.name);
  for (std::size_t i = 1; i < brokers_.size(); ++i) {
    heads.push_back(fmt::format("{} / {}", brokers_[0].name, brokers_[i].name));
  }
  Table table(heads);
  for (std::size_t figure = 0; figure < figures().size(); ++figure) {
    if (!known(figure)) continue;
    std::vector<std::string> row = {figures()[figure].text};
    for (const Broker& broker : brokers_) {
      row.push_back(
          fmt::format("{:.{}f}", median(broker.values[figure]), figures()[figure].digits));
    }
    for (std::size_t i = 1; i < brokers_.size(); ++i) {
      row.push_back(times_text(ratio(figure, brokers_[i])));
    }
    table.add(std::move(row));
  }
  return table.text();
}

boost::json::object Comparison::json() const {
  boost::json::array brokers;
  for (const Broker& broker : brokers_) {
    boost::json::object medians;
    boost::json::object ratios;
    for (std::size_t figure = 0; figure < figures().size(); ++figure) {
      if (!known(figure)) continue;
      medians[figures()[figure].key] = rounded(median(broker.values[figure]), 3);
      ratios[figures()[figure].key] = rounded(ratio(figure, broker), 4);
    }
    boost::json::array runs;
    for (const auto& run : broker.runs) runs.push_back(run);
    brokers.push_back(boost::json::object{{"name", broker.name},
                                          {"medians", std::move(medians)},
                                          {"first_divided_by_this", std::move(ratios)},
                                          {"runs", std::move(runs)}});
  }
  return {{"brokers", std::move(brokers)}};
}

}  // namespace warren::perf
