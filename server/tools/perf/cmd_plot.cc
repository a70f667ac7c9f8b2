// SPDX-License-Identifier: Apache-2.0
// plot: the CSV files of loads as one picture.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "server/tools/perf/commands.h"
#include "server/tools/perf/csv_file.h"
#include "server/tools/perf/svg_chart.h"

namespace warren::perf {
namespace {

struct Plot {
  std::vector<std::string> files;
  std::vector<std::string> names;
  std::string output = "perf.svg";
  std::string title = "warren-perf";
};

struct Named {
  std::string name;
  CsvFile file;
};

struct Column {
  const char* column;
  const char* text;
};

Series series_of(const Named& source, std::size_t x, std::size_t y) {
  Series series;
  for (const auto& row : source.file.rows) {
    if (row[x] && row[y]) series.points.emplace_back(*row[x], *row[y]);
  }
  return series;
}

bool all_zero(const Series& series) {
  for (const auto& point : series.points) {
    if (point.second != 0) return false;
  }
  return true;
}

// One file: a colour per column. More: a colour per file, a dash per column.
void add_columns(Panel& panel, const std::vector<Named>& sources,
                 const std::vector<Column>& columns) {
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto x = sources[i].file.find("seconds");
    for (std::size_t j = 0; j < columns.size(); ++j) {
      const auto y = sources[i].file.find(columns[j].column);
      if (!x || !y) continue;
      Series series = series_of(sources[i], *x, *y);
      if (all_zero(series)) continue;
      const bool many = sources.size() > 1;
      series.name = many ? fmt::format("{} {}", sources[i].name, columns[j].text) : columns[j].text;
      series.colour = static_cast<unsigned>(many ? i : j);
      series.dash = static_cast<unsigned>(many ? j : 0);
      panel.series.push_back(std::move(series));
    }
  }
}

std::vector<Panel> panels_of(const std::vector<Named>& sources) {
  std::vector<Panel> panels = {
      {"Rates", "messages per second", false, {}},
      {"End-to-end latency", "ms", true, {}},
      {"Confirm latency", "ms", true, {}},
      {"Broker's memory (anonymous)", "MiB", false, {}},
      {"Broker's CPU", "cores", false, {}},
  };
  add_columns(panels[0], sources,
              {{"published", "published"}, {"confirmed", "confirmed"}, {"consumed", "consumed"}});
  const std::vector<Column> latencies[] = {{{"delivery_p50_ms", "median"},
                                            {"delivery_p95_ms", "p95"},
                                            {"delivery_p99_ms", "p99"},
                                            {"delivery_max_ms", "max"}},
                                           {{"confirm_p50_ms", "median"},
                                            {"confirm_p95_ms", "p95"},
                                            {"confirm_p99_ms", "p99"},
                                            {"confirm_max_ms", "max"}}};
  add_columns(panels[1], sources, latencies[0]);
  add_columns(panels[2], sources, latencies[1]);
  add_columns(panels[3], sources, {{"server_anonymous_mib", "anonymous"}});
  add_columns(panels[4], sources, {{"server_cores", "cores"}});
  std::erase_if(panels, [](const Panel& panel) { return panel.series.empty(); });
  return panels;
}

int plot(const Plot& options) {
  if (!options.names.empty() && options.names.size() != options.files.size()) {
    return fail({Errc::invalid_argument, "--names: not as many as files"});
  }
  std::vector<Named> sources;
  for (std::size_t i = 0; i < options.files.size(); ++i) {
    auto file = read_csv(options.files[i]);
    if (!file.ok()) return fail(file.error());
    sources.push_back({options.names.empty()
                           ? std::filesystem::path(options.files[i]).stem().string()
                           : options.names[i],
                       file.take()});
  }
  const std::vector<Panel> panels = panels_of(sources);
  if (panels.empty()) {
    return fail({Errc::invalid_argument, "the files are none of --csv: no column is known"});
  }
  const std::string svg = to_svg(options.title, panels, "seconds");
  if (options.output == "-") {
    print(svg);
    return kExitFine;
  }
  std::ofstream out(options.output);
  out << svg;
  out.close();
  if (!out) {
    return fail(
        {Errc::io_error, fmt::format("cannot write {}: {}", options.output, std::strerror(errno))});
  }
  return kExitFine;
}

}  // namespace

void add_plot(CLI::App& app, Chosen& chosen) {
  CLI::App* const command =
      app.add_subcommand("plot", "Draws --csv files: rates, latencies, memory");
  const auto options = std::make_shared<Plot>();
  command->add_option("FILE", options->files, "CSV files; more than one lie over each other")
      ->required();
  command->add_option("-o,--output", options->output, "The SVG file; - for stdout")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_option("--names", options->names, "What to call the files, in this order")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME,NAME");
  command->add_option("--title", options->title, "The heading")
      ->type_name("TEXT")
      ->capture_default_str();
  command->footer("Example: warren-perf plot one.csv two.csv --names warren,other -o rates.svg\n");
  command->callback([options, &chosen] { chosen = [options] { return plot(*options); }; });
}

}  // namespace warren::perf
