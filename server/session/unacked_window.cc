// SPDX-License-Identifier: Apache-2.0
#include "server/session/unacked_window.h"

#include <algorithm>

namespace warren::session {
namespace {

// Settled entries behind an old unsettled one are swept out when they are the greater part of more
// than this.
constexpr std::size_t kSweepMin = 64;

}  // namespace

std::uint64_t UnackedWindow::add(const UnackedDelivery& delivery) {
  window_.push_back({false, delivery});
  window_.back().delivery.tag = next_tag_;
  ++outstanding_;
  return next_tag_++;
}

bool UnackedWindow::settle(std::uint64_t tag, bool multiple, std::vector<UnackedDelivery>& out) {
  if (tag == 0 && multiple) {
    take_all(out);
    return true;
  }
  const auto at =
      std::lower_bound(window_.begin(), window_.end(), tag,
                       [](const Entry& entry, std::uint64_t t) { return entry.tag() < t; });
  if (at == window_.end() || at->tag() != tag || at->settled) return false;
  if (multiple) {
    take_front_to(static_cast<std::size_t>(at - window_.begin()), out);
  } else {
    at->settled = true;
    --outstanding_;
    out.push_back(at->delivery);
  }
  tidy();
  return true;
}

void UnackedWindow::restore(const std::vector<UnackedDelivery>& deliveries) {
  std::deque<Entry> merged;
  for (const UnackedDelivery& delivery : deliveries) merged.push_back({false, delivery});
  for (const Entry& entry : window_) {
    if (!entry.settled) merged.push_back(entry);
  }
  std::sort(merged.begin(), merged.end(),
            [](const Entry& a, const Entry& b) { return a.tag() < b.tag(); });
  window_ = std::move(merged);
  outstanding_ = window_.size();
}

void UnackedWindow::take_all(std::vector<UnackedDelivery>& out) {
  if (!window_.empty()) take_front_to(window_.size() - 1, out);
}

// Settles and drops everything up to the index.
void UnackedWindow::take_front_to(std::size_t index, std::vector<UnackedDelivery>& out) {
  for (std::size_t i = 0; i <= index; ++i) {
    if (!window_.front().settled) {
      out.push_back(window_.front().delivery);
      --outstanding_;
    }
    window_.pop_front();
  }
}

void UnackedWindow::tidy() {
  while (!window_.empty() && window_.front().settled) window_.pop_front();
  if (window_.size() > kSweepMin && outstanding_ < window_.size() / 2) {
    std::erase_if(window_, [](const Entry& entry) { return entry.settled; });
  }
}

}  // namespace warren::session
