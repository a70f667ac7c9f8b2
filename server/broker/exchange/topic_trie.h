// SPDX-License-Identifier: Apache-2.0
// Patterns of topic bindings, indexed by word. Words are separated by '.', '*' stands for exactly
// one word, '#' for none or more; an empty word is a word ("a..b" has three), but the empty key has
// none. Matching walks a set of trie nodes word by word, so that a pattern full of '#' costs no
// more than its length. Bound: a key has at most 256 words (255 bytes), so removal recurses no
// deeper.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "server/broker/broker_ids.h"

namespace warren::broker {

struct Binding;

class TopicTrie {
 public:
  void add(std::string_view pattern, const Binding* binding);
  // REQUIRES: added with the same pattern.
  void remove(std::string_view pattern, const Binding* binding);
  // Appends what matches, each binding once.
  void match(std::string_view key, std::vector<const Binding*>& out) const;
  bool empty() const { return root_.unused(); }

 private:
  struct Node {
    StringMap<std::unique_ptr<Node>> words;  // '*' and '#' have nodes of their own
    std::unique_ptr<Node> star;
    std::unique_ptr<Node> hash;
    std::vector<const Binding*> here;
    bool any_words = false;          // this is the node of a '#'
    mutable std::uint64_t seen = 0;  // the last step of a match that had this node in its set
    bool unused() const { return here.empty() && words.empty() && !star && !hash; }
  };
  using Words = std::vector<std::string_view>;

  static bool remove_below(Node& node, const Words& words, std::size_t at, const Binding* binding);
  // Adds the node, and the '#' nodes that are reached from it without a word.
  static void enter(const Node& node, std::uint64_t step, std::vector<const Node*>& set);

  Node root_;
  mutable std::uint64_t step_ = 0;
};

// Does one pattern match one key? The plain definition, for tests and for patterns outside an
// exchange.
bool topic_matches(std::string_view pattern, std::string_view key);

}  // namespace warren::broker
