// SPDX-License-Identifier: Apache-2.0
// Which entries of a chunk are settled. On disk it is written as runs or as a bitmap, whichever is
// shorter; a chunk with all entries settled is deleted instead.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace warren::storage {

// Bound: one bit per entry, allocated with the first settled entry.
class AckSet {
 public:
  AckSet() = default;
  explicit AckSet(std::uint32_t count) : count_(count) {}

  std::uint32_t count() const { return count_; }
  std::uint32_t settled() const { return settled_; }
  bool all() const { return settled_ == count_; }

  // REQUIRES: index < count().
  bool test(std::uint32_t index) const {
    return !words_.empty() && ((words_[index / 64] >> (index % 64)) & 1) != 0;
  }
  // False when it was settled already. REQUIRES: index < count().
  bool set(std::uint32_t index);

  std::string encode() const;
  static Result<AckSet> decode(Bytes sealed);

  friend bool operator==(const AckSet& a, const AckSet& b);

 private:
  std::string runs() const;
  std::string bitmap() const;

  std::uint32_t count_ = 0;
  std::uint32_t settled_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace warren::storage
