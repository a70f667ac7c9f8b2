// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/pacer.h"

#include <algorithm>
#include <cmath>

namespace warren::perf {
namespace {

constexpr double kNanoseconds = 1e9;
constexpr double kTickNanoseconds = 1e5;
constexpr double kFinestRate = kNanoseconds / kTickNanoseconds;

}  // namespace

Pacer::Pacer(double per_second, double phase) : per_second_(per_second), phase_(phase) {}

Duration Pacer::due_at(std::uint64_t n) const {
  double at = (static_cast<double>(n) + phase_) / per_second_ * kNanoseconds;
  if (per_second_ > kFinestRate) at = std::ceil(at / kTickNanoseconds) * kTickNanoseconds;
  return Duration(static_cast<std::int64_t>(at));
}

std::uint64_t Pacer::due(Duration elapsed) const {
  if (elapsed < Duration::zero()) return 0;
  const double passed = static_cast<double>(elapsed.count()) / kNanoseconds;
  auto count = static_cast<std::uint64_t>(std::max(0.0, passed * per_second_ - phase_));
  // The estimate may be off by the messages of a tick; due_at() decides.
  while (count > 0 && due_at(count - 1) > elapsed) --count;
  while (due_at(count) <= elapsed) ++count;
  return count;
}

}  // namespace warren::perf
