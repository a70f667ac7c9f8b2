// SPDX-License-Identifier: Apache-2.0
// The language itself: what it refuses, and that a case can fail and says where and why.
#include <string>

#include <gtest/gtest.h>

#include "tests/conformance/rules_document.h"
#include "tests/conformance/runner.h"
#include "tests/conformance/sim_world.h"

namespace warren::conformance {
namespace {

std::string error_of(const std::string& text) {
  const auto cases = read_cases(text, "x");
  return cases.ok() ? "" : cases.error().text;
}

// Plays the steps as one case; what went wrong.
std::string play(const std::string& steps) {
  const auto cases = read_cases("case One\n" + steps, "x");
  EXPECT_TRUE(cases.ok()) << cases.error().text;
  if (!cases.ok()) return "unreadable";
  SimWorld world(1, 1);
  return Runner(world, cases.value().front()).run();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(WireScript, ErrorsNameFileAndLine) {
  EXPECT_EQ(error_of("# nothing\n\nopen a\n"), "x.wire:3: a file begins with a case");
  EXPECT_TRUE(has(error_of("case A\nopen a\nshout a\n"), "x.wire:3: unknown verb 'shout'"));
  EXPECT_TRUE(has(error_of("case A\nrepeat 2\nopen a\n"), "x.wire:2: the block has no 'done'"));
  EXPECT_TRUE(has(error_of("case A\ncase A\n"), "x.wire:2: the name is taken"));
  for (const char* const line :
       {"send", "send a.x basic.get", "wait 5", "wait ms", "raw a 0", "raw a zz",
        "send a.1 basic.get queue=\"q", "send a.1 basic.get queue=q",
        "expect a.1 basic.ack -> tag=1", "send a.1 queue.declare arguments={x}",
        "send a.1 queue.declare arguments={x=[1", "send a.1 queue.declare arguments={x=y:1}",
        "restart now"}) {
    const std::string error = error_of(std::string("case A\n  ") + line + "\n");
    EXPECT_TRUE(has(error, "x.wire:2: ")) << line << ": " << error;
  }
}

TEST(WireScript, RepeatCounts) {
  const auto cases = read_cases("case A\nrepeat 2\nrepeat 2\nopen a\ndone\nopen b\ndone\n", "x");
  ASSERT_TRUE(cases.ok());
  const std::vector<Step>& steps = cases.value().front().steps;
  ASSERT_EQ(steps.size(), 6U);
  EXPECT_EQ(steps[1].counters.at("n"), "2");
  EXPECT_EQ(steps[5].counters.at("n"), "2");
}

TEST(WireScript, FailuresSayWhereAndWhatCame) {
  const std::string failure =
      play("open a\n  call a.1 queue.declare queue=\"q\" -> message-count=7\n");
  EXPECT_TRUE(failure.starts_with("x.wire:3: call a.1 queue.declare")) << failure;
  EXPECT_TRUE(has(failure, "message-count: expected I:7, came l:0")) << failure;
  EXPECT_TRUE(has(failure, "queue.declare-ok queue=\"q\"")) << failure;
}

TEST(WireScript, EachOfTheseFails) {
  const std::string ready = "open a\ncall a.1 queue.declare queue=\"q\" exclusive\n";
  const std::string message = ready + "publish a.1 key=\"q\" headers={n=5, t={a=1}} body=\"m\"\n";
  for (const std::string& steps : {
           std::string("send a.1 basic.get\n"),
           ready + "send a.1 no.method\n",
           ready + "send a.1 basic.get no-field=1\n",
           ready + "send a.1 basic.get queue=5\n",
           ready + "expect a.1 basic.ack\n",
           ready + "expect a closed\n",
           ready + "expect a heartbeat\n",
           ready + "get a.1 queue=\"q\" -> body=\"m\"\n",
           ready + "send a.1 basic.get queue=\"q\"\nexpect a.1 nothing\n",
           ready + "send a.1 basic.get queue=\"q\"\n",  // its answer is left over
           ready + "send a.1 basic.ack tag=1\nrefused a.1 404\n",
           ready + "send a.1 basic.ack tag=1\nrefused a.1 406 \"another text\"\n",
           ready + "send a.1 basic.ack tag=1\nrefused a.1 406 method=\"basic.nack\"\n",
           ready + "send a.1 basic.ack tag=1\ndropped a 406\n",
           ready + "confirms a.1 ack=[1]\n",
           ready + "call a.1 confirm.select\npublish a.1 key=\"q\"\nconfirms a.1 nack=[1]\n",
           ready + "call a.1 confirm.select\npublish a.1 key=\"q\"\nconfirms a.1 ack=[2]\n",
           message + "get a.1 queue=\"q\" -> empty\n",
           message + "get a.1 queue=\"q\" -> body=\"n\"\n",
           message + "get a.1 queue=\"q\" -> body~\"n\"\n",
           message + "get a.1 queue=\"q\" -> body!=\"m\"\n",
           message + "get a.1 queue=\"q\" -> redelivered\n",
           message + "get a.1 queue=\"q\" -> !headers\n",
           message + "get a.1 queue=\"q\" -> priority=0\n",
           message + "get a.1 queue=\"q\" -> headers={n=5}\n",
           message + "get a.1 queue=\"q\" -> headers={n=l:5, t={a=1}}\n",
           message + "get a.1 queue=\"q\" -> headers~{t={a=2}}\n",
           message + "get a.1 queue=\"q\" -> headers~{t=absent}\n",
           message + "get a.1 queue=\"q\" -> headers~{u=any}\n",
           message + "get a.1 queue=\"q\" -> headers~{n=[5]}\n",
           message + "get a.1 queue=\"q\" -> body=>$b\nget a.1 queue=\"q\" -> body=$b\n",
       }) {
    EXPECT_NE(play(steps), "") << steps;
  }
  EXPECT_EQ(play(message + "get a.1 queue=\"q\" -> body=\"m\" headers~{n=5, t={a=1}, u=absent}\n"),
            "");
}

TEST(WireScript, TogetherTakesAnyOrderButEachOnce) {
  const std::string two =
      "open a\ncall a.1 queue.declare queue=\"q\" exclusive\ncall a.1 basic.consume queue=\"q\"\n"
      "publish a.1 key=\"q\" body=\"1\"\npublish a.1 key=\"q\" body=\"2\"\ntogether\n";
  EXPECT_EQ(play(two + "expect a.1 basic.deliver body=\"2\"\n"
                       "expect a.1 basic.deliver body=\"1\"\ndone\n"),
            "");
  EXPECT_NE(play(two + "expect a.1 basic.deliver body=\"1\"\n"
                       "expect a.1 basic.deliver body=\"1\"\ndone\n"),
            "");
}

// What the interrupted runs look for.
TEST(SimWorld, SanityFindsWhatIsLeftBehind) {
  const auto cases = read_cases(
      "case A\nopen a\ncall a.1 queue.declare queue=\"q\"\ncall a.1 basic.consume queue=\"q\"\n",
      "x");
  ASSERT_TRUE(cases.ok());
  SimWorld world(1, 1);
  Runner still_there(world, cases.value().front());
  EXPECT_EQ(still_there.run(), "");
  EXPECT_NE(world.check_sanity(), "");
}

TEST(RulesDocument, ListsAreMadeAnew) {
  const auto cases = read_cases("case One\nrules 1 3\ncase Two\nrules 1\ncase Three\n", "x/y");
  ASSERT_TRUE(cases.ok());
  const std::string document = "# Rules\n\n1. First\n   rule.\n   - x/y: Old\n2. Second.\n";
  EXPECT_EQ(refresh_rules(document, *cases),
            "# Rules\n\n1. First\n   rule.\n   - x/y: One, Two\n2. Second.\n");
  const std::vector<std::string> problems = rule_problems(document, *cases);
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_EQ(problems[0], "x/y: One has rule 3, which is none");
  EXPECT_EQ(problems[1], "x/y: Three has no rule");
  EXPECT_EQ(problems[2], "rule 2 is checked nowhere");
}

}  // namespace
}  // namespace warren::conformance
