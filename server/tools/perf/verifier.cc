// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/verifier.h"

#include <algorithm>
#include <bit>

namespace warren::perf {
namespace {

constexpr std::uint64_t kWordBits = 64;

std::uint64_t key_of(std::uint32_t queue, std::uint32_t stream) {
  return std::uint64_t{queue} << 32 | stream;
}

std::uint32_t stream_of(std::uint64_t key) {
  return static_cast<std::uint32_t>(key);
}

}  // namespace

bool NumberSet::add(std::uint64_t number) {
  const std::size_t index = number / kWordBits;
  if (index >= words_.size()) words_.resize(std::max(index + 1, words_.size() * 3 / 2));
  const std::uint64_t bit = std::uint64_t{1} << number % kWordBits;
  const bool added = (words_[index] & bit) == 0;
  words_[index] |= bit;
  return added;
}

bool NumberSet::contains(std::uint64_t number) const {
  return (word(number / kWordBits) >> number % kWordBits & 1) != 0;
}

std::uint64_t NumberSet::count() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t bits : words_) sum += static_cast<unsigned>(std::popcount(bits));
  return sum;
}

std::uint64_t NumberSet::smallest() const {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if (words_[i] != 0) return i * kWordBits + static_cast<unsigned>(std::countr_zero(words_[i]));
  }
  return 0;
}

std::uint64_t NumberSet::largest() const {
  for (std::size_t i = words_.size(); i > 0; --i) {
    if (words_[i - 1] != 0) {
      return i * kWordBits - 1 - static_cast<unsigned>(std::countl_zero(words_[i - 1]));
    }
  }
  return 0;
}

void NumberSet::merge(const NumberSet& other) {
  if (other.words_.size() > words_.size()) words_.resize(other.words_.size());
  for (std::size_t i = 0; i < other.words_.size(); ++i) words_[i] |= other.words_[i];
}

std::uint64_t NumberSet::overlap(const NumberSet& other, const NumberSet& except,
                                 const NumberSet& except_too) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const std::uint64_t both = words_[i] & other.word(i);
    sum += static_cast<unsigned>(std::popcount(both & ~except.word(i) & ~except_too.word(i)));
  }
  return sum;
}

Verifier::Seen& Verifier::seen_of(std::uint32_t queue, std::uint32_t stream) {
  const std::uint64_t key = key_of(queue, stream);
  if (key == key_ && found_ != nullptr) return *found_;
  std::unique_ptr<Seen>& slot = seen_[key];
  if (!slot) slot = std::make_unique<Seen>();
  key_ = key;
  found_ = slot.get();
  return *found_;
}

void Verifier::see(std::uint32_t queue, const Stamp& stamp, bool redelivered) {
  if (stamp.number == 0 || stamp.number > NumberSet::kNumberMax) return see_damaged();
  ++checked_;
  Seen& seen = seen_of(queue, stamp.stream);
  const bool first = seen.all.add(stamp.number);
  if (redelivered) {
    seen.flagged.add(stamp.number);
    if (!first) ++repeated_;
    return;
  }
  if (!first) {
    ++duplicated_;
  } else if (stamp.number < seen.last) {
    ++reordered_;
  }
  seen.last = std::max(seen.last, stamp.number);
}

Verdict Verifier::judge(const std::vector<const Verifier*>& consumers,
                        const std::vector<std::uint64_t>& published) {
  Verdict verdict;
  SeenMap merged;
  for (const Verifier* const consumer : consumers) {
    verdict.checked += consumer->checked_;
    verdict.duplicated += consumer->duplicated_;
    verdict.reordered += consumer->reordered_;
    verdict.damaged += consumer->damaged_;
    verdict.repeated += consumer->repeated_;
    verdict.foreign += consumer->foreign_;
    for (const auto& [key, seen] : consumer->seen_) {
      std::unique_ptr<Seen>& slot = merged[key];
      if (!slot) slot = std::make_unique<Seen>();
      verdict.duplicated += slot->all.overlap(seen->all, slot->flagged, seen->flagged);
      slot->all.merge(seen->all);
      slot->flagged.merge(seen->flagged);
    }
  }
  count_lost(merged, published, verdict);
  return verdict;
}

void Verifier::count_lost(const SeenMap& merged, const std::vector<std::uint64_t>& published,
                          Verdict& verdict) {
  std::vector<bool> arrived(published.size());
  for (const auto& [key, seen] : merged) {
    const std::uint64_t count = seen->all.count();
    if (published.empty()) {
      verdict.lost += seen->all.largest() - seen->all.smallest() + 1 - count;
      continue;
    }
    const std::uint32_t stream = stream_of(key);
    const std::uint64_t sent = stream < published.size() ? published[stream] : 0;
    if (seen->all.largest() > sent) {
      ++verdict.damaged;  // a number that nobody sent
    } else {
      verdict.lost += sent - count;
    }
    if (stream < arrived.size()) arrived[stream] = true;
  }
  for (std::size_t stream = 0; stream < published.size(); ++stream) {
    if (!arrived[stream]) verdict.lost += published[stream];
  }
}

}  // namespace warren::perf
