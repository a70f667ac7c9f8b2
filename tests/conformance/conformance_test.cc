// SPDX-License-Identifier: Apache-2.0
// Every case against the whole broker in this process: one test per case and way to run it.
//   one_shard, two_shards   the case as it is written
//   cut                     once per step: every connection vanishes behind it
//   crash                   once per step: the broker loses power behind it
// After a cut or a crash the broker serves a new client and holds nothing for the old ones.
#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/conformance/rules_document.h"
#include "tests/conformance/runner.h"
#include "tests/conformance/sim_world.h"

namespace warren::conformance {
namespace {

// With several shards: in so many orders.
constexpr std::uint64_t kSeeds = 5;

void run_whole(const Case& script, unsigned shards, std::uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SimWorld world(shards, seed);
  const std::string failure = Runner(world, script).run();
  if (!failure.empty()) ADD_FAILURE() << failure;
}

enum class End { cut, crash };

void run_interrupted(const Case& script, std::size_t count, unsigned shards, End end) {
  SCOPED_TRACE(fmt::format("behind {}.wire:{}, {} shards", script.file,
                           script.steps[count - 1].line, shards));
  SimWorld world(shards, count);
  {
    Runner runner(world, script);
    const std::string failure = runner.run_steps(count);
    if (!failure.empty()) FAIL() << failure;
    if (end == End::crash) world.crash();
  }
  const std::string insane = world.check_sanity();
  if (!insane.empty()) FAIL() << insane;
}

void run_interrupted_everywhere(const Case& script, End end) {
  for (std::size_t count = 1; count <= script.steps.size(); ++count) {
    for (const unsigned shards : {1U, 2U}) run_interrupted(script, count, shards, end);
    if (::testing::Test::HasFailure()) return;
  }
}

class ConformanceTest : public ::testing::Test {
 public:
  explicit ConformanceTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

void add_test(const Case& script, const char* way, std::function<void()> body) {
  std::string suite = script.file;
  std::replace_if(
      suite.begin(), suite.end(), [](char c) { return c == '/' || c == '.'; }, '_');
  const std::string name = fmt::format("{}{}{}", script.name, *way == 0 ? "" : "/", way);
  ::testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, script.file.c_str(),
                          script.line, [body]() -> ConformanceTest* {
                            // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): gtest owns it
                            return std::make_unique<ConformanceTest>(body).release();
                          });
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void check_rules(const std::string& path, const std::vector<Case>& cases) {
  const std::string document = read_file(path);
  for (const std::string& problem : rule_problems(document, cases)) ADD_FAILURE() << problem;
  EXPECT_TRUE(refresh_rules(document, cases) == document)
      << "RULES.md is stale: conformance --rules tests/conformance/RULES.md";
}

void add_tests(const Case& script) {
  add_test(script, "one_shard", [&script] { run_whole(script, 1, 1); });
  add_test(script, "two_shards", [&script] {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) run_whole(script, 2, seed);
  });
  add_test(script, "cut", [&script] { run_interrupted_everywhere(script, End::cut); });
  add_test(script, "crash", [&script] { run_interrupted_everywhere(script, End::crash); });
}

}  // namespace
}  // namespace warren::conformance

// usage: conformance_test CASES_DIRECTORY [gtest options]
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2) {
    fmt::print(stderr, "usage: conformance_test CASES_DIRECTORY [gtest options]\n");
    return 2;
  }
  const auto cases = warren::conformance::load_cases(argv[1]);
  if (!cases.ok()) {
    fmt::print(stderr, "{}\n", cases.error().text);
    return 1;
  }
  const std::string rules = std::string(argv[1]) + "/../RULES.md";
  warren::conformance::Case document;
  document.file = "RULES.md";
  document.name = "NamesEveryCase";
  warren::conformance::add_test(document, "",
                                [&] { warren::conformance::check_rules(rules, *cases); });
  for (const warren::conformance::Case& script : *cases) warren::conformance::add_tests(script);
  return RUN_ALL_TESTS();
}
