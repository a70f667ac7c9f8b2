// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/topic_trie.h"

#include "storage/base/assert.h"

#include "server/broker/exchange/exchange.h"

namespace warren::broker {
namespace {

std::vector<std::string_view> split_words(std::string_view key) {
  std::vector<std::string_view> words;
  if (key.empty()) return words;
  while (true) {
    const std::size_t dot = key.find('.');
    words.push_back(key.substr(0, dot));
    if (dot == std::string_view::npos) return words;
    key.remove_prefix(dot + 1);
  }
}

}  // namespace

void TopicTrie::add(std::string_view pattern, const Binding* binding) {
  Node* node = &root_;
  for (const std::string_view word : split_words(pattern)) {
    std::unique_ptr<Node>& next = word == "*"   ? node->star
                                  : word == "#" ? node->hash
                                                : node->words[std::string(word)];
    if (!next) {
      next = std::make_unique<Node>();
      next->any_words = word == "#";
    }
    node = next.get();
  }
  append_indexed(node->here, *binding);
}

void TopicTrie::remove(std::string_view pattern, const Binding* binding) {
  remove_below(root_, split_words(pattern), 0, binding);
}

// True: the node holds nothing any more and its owner drops it.
bool TopicTrie::remove_below(Node& node, const Words& words, std::size_t at,
                             const Binding* binding) {
  if (at == words.size()) {
    remove_indexed(node.here, *binding);
    return node.unused();
  }
  const std::string_view word = words[at];
  if (word == "*" || word == "#") {
    std::unique_ptr<Node>& child = word == "*" ? node.star : node.hash;
    WARREN_ASSERT(child != nullptr);
    if (remove_below(*child, words, at + 1, binding)) child.reset();
  } else {
    const auto child = node.words.find(word);
    WARREN_ASSERT(child != node.words.end());
    if (remove_below(*child->second, words, at + 1, binding)) node.words.erase(child);
  }
  return node.unused();
}

void TopicTrie::enter(const Node& node, std::uint64_t step, std::vector<const Node*>& set) {
  const Node* at = &node;
  while (at != nullptr && at->seen != step) {
    at->seen = step;
    set.push_back(at);
    at = at->hash.get();
  }
}

void TopicTrie::match(std::string_view key, std::vector<const Binding*>& out) const {
  std::vector<const Node*> now;
  std::vector<const Node*> next;
  enter(root_, ++step_, now);
  for (const std::string_view word : split_words(key)) {
    next.clear();
    ++step_;
    for (const Node* node : now) {
      if (node->any_words) enter(*node, step_, next);
      if (node->star) enter(*node->star, step_, next);
      const auto child = node->words.find(word);
      if (child != node->words.end()) enter(*child->second, step_, next);
    }
    now.swap(next);
  }
  for (const Node* node : now) out.insert(out.end(), node->here.begin(), node->here.end());
}

bool topic_matches(std::string_view pattern, std::string_view key) {
  const auto patterns = split_words(pattern);
  const auto words = split_words(key);
  // reach[j]: the pattern read so far matches the first j words.
  std::vector<bool> reach(words.size() + 1, false);
  reach[0] = true;
  for (const std::string_view word : patterns) {
    std::vector<bool> next(words.size() + 1, false);
    for (std::size_t j = 0; j <= words.size(); ++j) {
      if (word == "#") {
        next[j] = reach[j] || (j > 0 && next[j - 1]);
      } else if (j > 0) {
        next[j] = reach[j - 1] && (word == "*" || word == words[j - 1]);
      }
    }
    reach = std::move(next);
  }
  return reach[words.size()];
}

}  // namespace warren::broker
