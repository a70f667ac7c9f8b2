// SPDX-License-Identifier: Apache-2.0
#include "server/session/unacked_window.h"

namespace warren::session {

std::uint64_t UnackedWindow::add(const UnackedDelivery& delivery) {
  window_.push_back(delivery);
  ++outstanding_;
  return base_ + window_.size() - 1;
}

std::uint64_t UnackedWindow::skip() {
  if (window_.empty()) return base_++;
  UnackedDelivery settled;
  settled.settled = true;
  window_.push_back(settled);
  return base_ + window_.size() - 1;
}

bool UnackedWindow::settle(std::uint64_t tag, bool multiple, std::vector<UnackedDelivery>& out) {
  if (tag == 0 && multiple) {
    take_all(out);
    return true;
  }
  if (tag < base_ || tag - base_ >= window_.size()) return false;
  const std::size_t index = tag - base_;
  if (window_[index].settled) return false;
  for (std::size_t i = multiple ? 0 : index; i <= index; ++i) {
    if (window_[i].settled) continue;
    window_[i].settled = true;
    --outstanding_;
    out.push_back(window_[i]);
  }
  trim();
  return true;
}

void UnackedWindow::take_all(std::vector<UnackedDelivery>& out) {
  for (const UnackedDelivery& delivery : window_) {
    if (!delivery.settled) out.push_back(delivery);
  }
  base_ += window_.size();
  window_.clear();
  outstanding_ = 0;
}

void UnackedWindow::trim() {
  while (!window_.empty() && window_.front().settled) {
    window_.pop_front();
    ++base_;
  }
}

}  // namespace warren::session
