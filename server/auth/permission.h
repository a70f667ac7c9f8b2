// SPDX-License-Identifier: Apache-2.0
// One user's rights in one vhost, compiled from its three regular expressions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "storage/engine/definitions.h"

namespace re2 {
class RE2;
}

namespace warren::auth {

enum class Operation : std::uint8_t { configure, write, read };

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
// before a permission is stored.
bool valid_pattern(const std::string& expression);

class Permission {
 public:
  explicit Permission(storage::PermissionDefinition definition);

  bool allows(Operation operation, std::string_view name) const;
  const storage::PermissionDefinition& definition() const { return definition_; }

 private:
  storage::PermissionDefinition definition_;
  Pattern configure_;
  Pattern write_;
  Pattern read_;
};

}  // namespace warren::auth
