// SPDX-License-Identifier: Apache-2.0
// Foretells whether the messages of a log are settled so soon after they were appended that their
// commit is better awaited for a moment: what is settled before its commit needs no disk at all,
// and its confirm may go out (S3). Learns from samples of what was handed over, so that a log whose
// consumers are slow never waits. Pure data.
#pragma once

#include <algorithm>
#include <cstdint>

#include "storage/base/clock.h"
#include "storage/base/ids.h"

namespace warren::storage {

// Owned by: QueueLogImpl.
class SettleForecast {
 public:
  // No commit is put off for longer. About what the cheapest one takes with its two changes of
  // thread; on a slow disk more could be won, but a forecast that fails costs its publisher this.
  static constexpr Duration kPatience = std::chrono::microseconds(500);

  bool is_good() const { return in_a_row_ >= wanted_; }

  // [from, to] was handed over, `count` messages of it not settled.
  void on_handed_over(Seq from, Seq to, std::uint64_t count, Instant now) {
    if (left_ > 0 && now - since_ <= kPatience) return;  // this sample is not complete
    if (left_ > 0) in_a_row_ = 0;
    from_ = from;
    to_ = to;
    left_ = count;
    since_ = now;
  }

  // A message that was handed over is settled. True: it was the last one of the sample; tell
  // on_sampled() the time as soon as it is known.
  bool settled(Seq seq) { return left_ > 0 && seq >= from_ && seq <= to_ && --left_ == 0; }
  void on_sampled(Instant now) {
    in_a_row_ = now - since_ <= kPatience ? std::min(in_a_row_ + 1, kWantedMax) : 0;
  }

  // A commit was put off in vain. The next one that is has to be earned by more samples.
  void on_failure() {
    in_a_row_ = 0;
    wanted_ = std::min(wanted_ * 2, kWantedMax);
  }
  void on_success() { wanted_ = std::max(wanted_ - 1, kWantedMin); }

 private:
  static constexpr std::uint32_t kWantedMin = 4;
  static constexpr std::uint32_t kWantedMax = 256;

  // The sample; none when nothing of it is left.
  Seq from_ = 0;
  Seq to_ = 0;
  std::uint64_t left_ = 0;
  Instant since_;

  std::uint32_t in_a_row_ = 0;  // samples that were settled in time
  std::uint32_t wanted_ = kWantedMin;
};

}  // namespace warren::storage
