// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/confirm_window.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace warren::perf {

ConfirmWindow::ConfirmWindow(std::uint32_t size)
    : size_(size), ring_(std::bit_ceil(std::size_t{size} + 1)) {}

void ConfirmWindow::open(std::uint64_t at_us) {
  slot(next_) = {.at_us = at_us, .answered = false};
  ++next_;
}

std::string ConfirmWindow::settle(std::uint64_t tag, bool multiple, std::uint64_t now_us,
                                  LatencyHistogram* latency, std::uint64_t& settled) {
  settled = 0;
  if (tag == 0 || tag >= next_) return fmt::format("a confirm of unknown tag {}", tag);
  if (!multiple && (tag < settled_below_ || slot(tag).answered)) {
    return fmt::format("a second confirm of tag {}", tag);
  }
  for (std::uint64_t at = multiple ? settled_below_ : tag; at <= tag; ++at) {
    if (slot(at).answered) continue;
    slot(at).answered = true;
    ++settled;
    if (latency != nullptr) latency->add(now_us - std::min(now_us, slot(at).at_us));
  }
  while (settled_below_ < next_ && slot(settled_below_).answered) ++settled_below_;
  return {};
}

}  // namespace warren::perf
