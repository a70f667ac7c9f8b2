// SPDX-License-Identifier: Apache-2.0
// Integers that cannot be mistaken for one another.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace warren {

template <class Tag, class Rep = std::uint64_t>
struct StrongId {
  Rep value = 0;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value(v) {}
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
};

template <class Tag, class Rep>
std::size_t hash_value(StrongId<Tag, Rep> id) {
  return std::hash<Rep>{}(id.value);
}

}  // namespace warren

template <class Tag, class Rep>
struct std::hash<warren::StrongId<Tag, Rep>> {
  std::size_t operator()(warren::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
