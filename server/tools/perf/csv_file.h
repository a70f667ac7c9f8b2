// SPDX-License-Identifier: Apache-2.0
// Reads back the rows that a load wrote (recorder.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"

namespace warren::perf {

struct CsvFile {
  std::vector<std::string> columns;
  // By row, then by column; empty fields are missing values.
  std::vector<std::vector<std::optional<double>>> rows;

  // Index of the column, if there is one.
  std::optional<std::size_t> find(std::string_view column) const;
};

// Numbers and empty fields, a line of names in front. The error names the line.
Result<CsvFile> parse_csv(std::string_view text);
Result<CsvFile> read_csv(const std::string& path);

}  // namespace warren::perf
