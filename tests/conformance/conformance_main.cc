// SPDX-License-Identifier: Apache-2.0
// Plays the cases against any broker: conformance --uri amqp://guest:guest@127.0.0.1:5672 [part]
// It deletes the queues and exchanges that its cases name: give it a broker of its own.
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/conformance/rules_document.h"
#include "tests/conformance/socket_world.h"
#include "tests/conformance/wire_script.h"

namespace {

using warren::conformance::Case;

struct Options {
  std::string uri = "amqp://guest:guest@127.0.0.1:5672";
  std::string cases = WARREN_CASES;
  std::string part;
  std::string known;
  std::string rules;
  bool slow = false;
};

struct Tally {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  int unexpected = 0;
};

void run_one(warren::conformance::SocketWorld& world, const Case& script, bool slow,
             const std::set<std::string>& known, Tally& tally) {
  const std::string name = script.full_name();
  if (script.restarts() || (script.slow && !slow)) {
    ++tally.skipped;
    fmt::print("skip  {} ({})\n", name, script.restarts() ? "restarts the broker" : "slow");
    return;
  }
  const std::string failure = world.run(script);
  const bool expected_to_fail = known.contains(name);
  ++(failure.empty() ? tally.passed : tally.failed);
  if (failure.empty() == expected_to_fail) ++tally.unexpected;
  fmt::print("{}  {}{}\n", failure.empty() ? "pass" : "FAIL", name,
             !expected_to_fail ? ""
             : failure.empty() ? " (known to differ, but passes)"
                               : " (known)");
  if (!failure.empty()) fmt::print("      {}\n", failure);
  std::fflush(stdout);
}

// Names between ` and ` at the start of a table's row: what DIFFERENCES.md lists.
std::set<std::string> read_known(const std::string& path) {
  std::set<std::string> names;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("| `")) continue;
    const std::size_t end = line.find('`', 3);
    if (end != std::string::npos) names.insert(line.substr(3, end - 3));
  }
  return names;
}

int refresh(const std::string& path, const std::vector<Case>& cases) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  in.close();
  std::ofstream(path, std::ios::binary) << warren::conformance::refresh_rules(text.str(), cases);
  const auto problems = warren::conformance::rule_problems(text.str(), cases);
  for (const std::string& problem : problems) fmt::print("{}\n", problem);
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Plays Warren's conformance cases against a broker");
  app.add_option("--uri", options.uri, "amqp://user:password@host:port/vhost");
  app.add_option("--cases", options.cases, "directory of the cases");
  app.add_option("--known", options.known, "a list of cases that are known to fail there");
  app.add_option("--rules", options.rules, "brings the lists of cases in this document up to date");
  app.add_flag("--slow", options.slow, "also the cases that wait for seconds");
  app.add_option("part", options.part, "only cases whose 'file: name' has this in it");
  CLI11_PARSE(app, argc, argv);

  auto uri = warren::perf::parse_uri(options.uri);
  const auto cases = warren::conformance::load_cases(options.cases);
  if (!uri.ok() || !cases.ok()) {
    fmt::print(stderr, "{}\n", uri.ok() ? cases.error().text : uri.error().text);
    return 2;
  }
  if (!options.rules.empty()) return refresh(options.rules, *cases);
  warren::conformance::SocketWorld world(uri.take());
  if (world.connect() == nullptr) {
    fmt::print(stderr, "nobody answers at {}\n", options.uri);
    return 2;
  }
  const std::set<std::string> known = read_known(options.known);
  Tally tally;
  for (const Case& script : *cases) {
    if (script.full_name().find(options.part) == std::string::npos) continue;
    run_one(world, script, options.slow, known, tally);
  }
  fmt::print("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
  if (!known.empty()) fmt::print(", {} not as known", tally.unexpected);
  fmt::print("\n");
  return tally.unexpected == 0 && tally.passed + tally.failed > 0 ? 0 : 1;
}
