// SPDX-License-Identifier: Apache-2.0
// What a load did in each second: shown on stderr while it runs, and kept as rows of a CSV file.
#pragma once

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "storage/base/result.h"

#include "server/tools/perf/report.h"

namespace warren::perf {

struct Second {
  double at = 0;  // its end, since the start
  double seconds = 1;
  Counters counters = {};
  LatencyHistogram delivery = {};
  LatencyHistogram confirm = {};
  double server_cores = 0;
  double server_anonymous_mib = 0;
};

// Numbers of one second. The columns of the CSV in order.
std::string csv_header();
std::string csv_row(const Second& second);
std::string progress_line(const Second& second);

class Recorder {
 public:
  // label: what is running, in front of each line; may be empty.
  static Result<Recorder> open(const OutputOptions& options, std::string label);

  bool wants_rows() const { return progress_ || csv_.is_open(); }
  void add(const Second& second);
  // Ends a line that is being rewritten. An error when the file could not be written.
  Status finish();

 private:
  std::string label_;
  std::string path_;
  bool progress_ = false;
  bool rewrites_ = false;  // stderr is a terminal
  bool line_open_ = false;
  std::ofstream csv_;
};

}  // namespace warren::perf
