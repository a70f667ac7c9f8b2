// SPDX-License-Identifier: Apache-2.0
// A table of texts for a terminal: the first column to the left, all others to the right.
#pragma once

#include <string>
#include <vector>

namespace warren::perf {

class Table {
 public:
  explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace warren::perf
