// SPDX-License-Identifier: Apache-2.0
// Many questions, several who ask: each question once, answers in the order of the questions, and
// never too much under way.
#include "server/tools/perf/crew.h"

#include <deque>

#include <gmock/gmock.h>

namespace warren::perf {
namespace {

// Answers in order, like a broker; what was not flushed it has not heard of.
struct FakeClient {
  std::deque<std::size_t> unsent;
  std::deque<std::size_t> sent;
  std::size_t most_under_way = 0;

  Status flush() {
    for (const std::size_t index : unsent) sent.push_back(index);
    unsent.clear();
    most_under_way = std::max(most_under_way, sent.size());
    return {};
  }
};

class Crew : public ::testing::Test {
 protected:
  Status ask(std::size_t members, std::size_t count, std::size_t fails_at = SIZE_MAX) {
    crew_.assign(members, FakeClient{});
    asked_.assign(count, 0);
    answered_.assign(count, 0);
    return ask_many(
        std::span(crew_), count,
        [this](FakeClient& client, std::size_t index) {
          ++asked_[index];
          client.unsent.push_back(index);
        },
        [this, fails_at](FakeClient& client, std::size_t index) -> Status {
          if (index == fails_at) return Error{Errc::io_error, "it said no"};
          EXPECT_FALSE(client.sent.empty());
          EXPECT_EQ(client.sent.front(), index);
          client.sent.pop_front();
          ++answered_[index];
          return {};
        });
  }

  std::vector<FakeClient> crew_;
  std::vector<int> asked_;
  std::vector<int> answered_;
};

TEST_F(Crew, AsksEachQuestionOnceAndTakesEachAnswer) {
  for (const std::size_t members : {1U, 2U, 7U}) {
    for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 127U, 128U, 129U, 1000U}) {
      ASSERT_TRUE(ask(members, count).ok());
      EXPECT_THAT(asked_, ::testing::Each(1));
      EXPECT_THAT(answered_, ::testing::Each(1));
      for (const FakeClient& client : crew_) EXPECT_TRUE(client.sent.empty());
    }
  }
}

TEST_F(Crew, EveryoneAsksAndNobodyTooMuchAtOnce) {
  ASSERT_TRUE(ask(4, 10 * kAskedAtOnce).ok());
  for (const FakeClient& client : crew_) EXPECT_EQ(client.most_under_way, kAskedAtOnce);
}

TEST_F(Crew, StopsAtTheFirstRefusal) {
  const Status status = ask(2, 1000, 70);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().text, "it said no");
  EXPECT_EQ(asked_[128], 0);  // the next round
}

}  // namespace
}  // namespace warren::perf
