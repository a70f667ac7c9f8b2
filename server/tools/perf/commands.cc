// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/commands.h"

#include <cstdio>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace warren::perf {

int fail(const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "warren-perf: {}\n", error.text);
  if (error.code == Errc::not_found) return kExitCannotConnect;
  return error.code == Errc::invalid_argument ? kExitUsage : kExitFailed;
}

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void print_json(const boost::json::object& object) {
  print(boost::json::serialize(object) + "\n");
}

int exit_code(const LoadReport& report) {
  return report.verdict && !report.verdict->ok() ? kExitFailed : kExitFine;
}

}  // namespace warren::perf
