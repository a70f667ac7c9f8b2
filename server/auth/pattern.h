// SPDX-License-Identifier: Apache-2.0
// Regular expressions of permissions and policies.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace warren::auth {

// An unanchored regular expression over bytes. Empty allows nothing; so does one that RE2 cannot
// compile (look-ahead, back-references): a right that we cannot read is not given.
// Bound: kPatternBytesMax of pattern, kPatternMemoryMax of compiled program.
class Pattern {
 public:
  explicit Pattern(const std::string& expression);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  bool matches(std::string_view name) const;

 private:
  bool everything_ = false;             // ".*", by far the most frequent
  std::unique_ptr<re2::RE2> compiled_;  // nullptr: nothing, or everything
};

// False for an expression that Pattern would take for "nothing" though it is not empty. To be asked
// before a permission or a policy is stored.
bool valid_pattern(const std::string& expression);

}  // namespace warren::auth
