// SPDX-License-Identifier: Apache-2.0
// Figures of the same load on several brokers, run in turn: medians, and ratios per round, so that
// what the machine did meanwhile hits all of them.
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "server/tools/perf/report.h"

namespace warren::perf {

// Of an odd number the middle one, of an even number the mean of the two; 0 of none.
double median(std::vector<double> values);

class Comparison {
 public:
  explicit Comparison(std::vector<std::string> names);

  // The next run of broker `index`.
  void add(std::size_t index, const LoadReport& report);

  // A column per broker, and for each but the first what the first has, divided by what it has.
  std::string text() const;
  boost::json::object json() const;

 private:
  struct Figure;
  static const std::vector<Figure>& figures();

  struct Broker {
    std::string name;
    std::vector<std::vector<double>> values;  // by figure, by run; negative: unknown
    std::vector<boost::json::object> runs;
  };

  bool known(std::size_t figure) const;
  double ratio(std::size_t figure, const Broker& other) const;

  std::vector<Broker> brokers_;
};

}  // namespace warren::perf
