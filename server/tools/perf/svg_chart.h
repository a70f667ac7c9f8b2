// SPDX-License-Identifier: Apache-2.0
// Line charts as SVG: panels below each other over one common time axis.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace warren::perf {

struct Series {
  std::string name;
  unsigned colour = 0;                            // index of the palette
  unsigned dash = 0;                              // 0: a solid line
  std::vector<std::pair<double, double>> points;  // x rises
};

struct Panel {
  std::string title;
  std::string y_label;
  bool logarithmic = false;  // values of 0 and less are left out
  std::vector<Series> series;
};

// Round numbers from below or at `low` to above or at `high`, about `count` of them.
// REQUIRES: low < high.
std::vector<double> linear_ticks(double low, double high, unsigned count);
// 1, 10, 100 and so on around the range, with 2 and 5 between when there are few.
std::vector<double> logarithmic_ticks(double low, double high);
// 1500000 as 1.5M, 0.25 as 0.25.
std::string short_number(double value);

std::string to_svg(const std::string& title, const std::vector<Panel>& panels,
                   const std::string& x_label);

}  // namespace warren::perf
