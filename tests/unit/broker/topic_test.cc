// SPDX-License-Identifier: Apache-2.0
// The topic trie against the plain definition of a match.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server/broker/exchange/exchange.h"
#include "server/broker/exchange/topic_trie.h"

namespace warren::broker {
namespace {

std::vector<const Binding*> matches(const TopicTrie& trie, const std::string& key) {
  std::vector<const Binding*> out;
  trie.match(key, out);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(TopicMatches, FollowsTheRules) {
  struct Row {
    const char* pattern;
    const char* key;
    bool match;
  };
  for (const Row& row : {
           Row{"#", "", true},
           Row{"#", "a", true},
           Row{"#", "a.b.c", true},
           Row{"a.#", "a", true},
           Row{"a.#", "a.b.c", true},
           Row{"a.#", "b.a", false},
           Row{"#.a", "a", true},
           Row{"#.a", "b.c.a", true},
           Row{"#.a", "a.b", false},
           Row{"*", "a", true},
           Row{"*", "", false},
           Row{"*", "a.b", false},
           Row{"*.b", "a.b", true},
           Row{"*.b", ".b", true},
           Row{"*.b", "b", false},
           Row{"a.*.c", "a..c", true},
           Row{"a.*.c", "a.c", false},
           Row{"a.#.c", "a.c", true},
           Row{"a.#.c", "a.b.b.c", true},
           Row{"#.b.#", "a.b.c", true},
           Row{"#.b.#", "a.c", false},
           Row{"#.#", "", true},
           Row{"a.b", "a.b", true},
           Row{"a.b", "a.b.", false},
           Row{"", "", true},
           Row{"", "a", false},
       }) {
    EXPECT_EQ(topic_matches(row.pattern, row.key), row.match) << row.pattern << " ~ " << row.key;
    TopicTrie trie;
    const Binding binding;
    trie.add(row.pattern, &binding);
    EXPECT_EQ(matches(trie, row.key).size(), row.match ? 1U : 0U)
        << row.pattern << " ~ " << row.key;
  }
}

std::string random_words(std::mt19937& random, bool pattern) {
  static const std::vector<std::string> kWords = {"a", "b", "", "cc"};
  std::string text;
  const int count = static_cast<int>(random() % 5) + 1;
  for (int i = 0; i < count; ++i) {
    if (i > 0) text += '.';
    const auto draw = random() % (pattern ? 7 : 4);
    text += draw < 4 ? kWords[draw] : draw == 4 ? "*" : "#";
  }
  return text;
}

TEST(TopicTrie, AgreesWithTheDefinitionWhilePatternsComeAndGo) {
  std::mt19937 random(7);
  TopicTrie trie;
  std::map<const Binding*, std::string> model;
  std::vector<std::unique_ptr<Binding>> bindings;
  for (int round = 0; round < 3000; ++round) {
    if (model.size() > 40 || (!model.empty() && random() % 3 == 0)) {
      const auto at = std::next(model.begin(), static_cast<long>(random() % model.size()));
      trie.remove(at->second, at->first);
      model.erase(at);
    } else {
      bindings.push_back(std::make_unique<Binding>());
      const std::string pattern = random_words(random, true);
      trie.add(pattern, bindings.back().get());
      model.emplace(bindings.back().get(), pattern);
    }
    const std::string key = random_words(random, false);
    std::vector<const Binding*> expected;
    for (const auto& [binding, pattern] : model) {
      if (topic_matches(pattern, key)) expected.push_back(binding);
    }
    ASSERT_EQ(matches(trie, key), expected) << "round " << round << " key '" << key << "'";
  }
  for (const auto& [binding, pattern] : model) trie.remove(pattern, binding);
  EXPECT_TRUE(trie.empty());
}

// P7: a pattern full of '#' must not make matching exponential.
TEST(TopicTrie, ManyHashesStayCheap) {
  TopicTrie trie;
  const Binding binding;
  std::string pattern = "#";
  std::string key = "a";
  for (int i = 0; i < 60; ++i) {
    pattern += ".a.#";
    key += ".a";
  }
  key += ".b";
  trie.add(pattern, &binding);
  EXPECT_EQ(matches(trie, key).size(), 1U);
}

}  // namespace
}  // namespace warren::broker
