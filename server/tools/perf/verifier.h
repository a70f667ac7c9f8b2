// SPDX-License-Identifier: Apache-2.0
// Holds what consumers got against what was published: order, loss, duplicates. AMQP promises order
// per channel and queue for messages that are not redelivered, and lets a message come twice only
// with the redelivered flag.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "server/tools/perf/stamp.h"

namespace warren::perf {

struct Verdict {
  std::uint64_t checked = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;  // came again without the flag
  std::uint64_t reordered = 0;   // came behind a later one of its stream, without the flag
  std::uint64_t damaged = 0;     // no stamp, or another body than was sent
  std::uint64_t repeated = 0;    // came again, flagged: allowed
  std::uint64_t foreign = 0;     // from before this run: not looked at

  bool ok() const { return lost == 0 && duplicated == 0 && reordered == 0 && damaged == 0; }
};

// A set of numbers from 1, dense: a bit each.
// Bound: kNumberMax, 2 GiB of bits, which a caller keeps to.
class NumberSet {
 public:
  static constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 34;

  // False when it was there already. REQUIRES: 1 <= number <= kNumberMax.
  bool add(std::uint64_t number);
  bool contains(std::uint64_t number) const;
  std::uint64_t count() const;
  // 0 when empty.
  std::uint64_t smallest() const;
  std::uint64_t largest() const;
  void merge(const NumberSet& other);
  // Numbers in this and in `other` that are in none of the two sets of exceptions.
  std::uint64_t overlap(const NumberSet& other, const NumberSet& except,
                        const NumberSet& except_too) const;

 private:
  std::uint64_t word(std::size_t index) const { return index < words_.size() ? words_[index] : 0; }

  std::vector<std::uint64_t> words_;
};

// What one consumer saw. Runs on: its link's thread; judge() when that one has stopped.
class Verifier {
 public:
  // queue: its index, so that a message that reached two queues is no duplicate.
  void see(std::uint32_t queue, const Stamp& stamp, bool redelivered);
  void see_damaged() { ++damaged_; }
  void see_foreign() { ++foreign_; }

  // published: how many each stream has sent; empty when others published: then only gaps between
  // the first and the last message of a stream are losses.
  static Verdict judge(const std::vector<const Verifier*>& consumers,
                       const std::vector<std::uint64_t>& published);

 private:
  struct Seen {
    std::uint64_t last = 0;
    NumberSet all;
    NumberSet flagged;  // those that came redelivered
  };
  using SeenMap = std::unordered_map<std::uint64_t, std::unique_ptr<Seen>>;

  Seen& seen_of(std::uint32_t queue, std::uint32_t stream);
  static void count_lost(const SeenMap& merged, const std::vector<std::uint64_t>& published,
                         Verdict& verdict);

  SeenMap seen_;                    // by queue and stream
  std::uint64_t key_ = UINT64_MAX;  // of the last lookup
  Seen* found_ = nullptr;
  std::uint64_t checked_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
  std::uint64_t damaged_ = 0;
  std::uint64_t repeated_ = 0;
  std::uint64_t foreign_ = 0;
};

}  // namespace warren::perf
