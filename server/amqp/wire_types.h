// SPDX-License-Identifier: Apache-2.0
// The string-like domains of AMQP as views, so that a method struct says which of them it carries.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>

#include "storage/base/bytes.h"

namespace warren::amqp {

inline constexpr std::size_t kShortStringBytesMax = 255;

// Borrowed bytes with a wire domain. Who owns them is said where the struct is filled: the frame
// when decoded, the caller when built.
template <class Domain>
struct WireString {
  Bytes value;

  constexpr WireString() = default;
  template <class T>
  requires std::convertible_to<const T&, std::string_view>
  constexpr WireString(const T& from) : value(from) {}  // NOLINT(google-explicit-constructor)

  constexpr operator std::string_view() const { return value; }  // NOLINT

  constexpr bool empty() const { return value.empty(); }
  constexpr std::size_t size() const { return value.size(); }

  template <class T>
  requires std::convertible_to<const T&, std::string_view>
  friend constexpr bool operator==(const WireString& left, const T& right) {
    return left.value == std::string_view(right);
  }
};

// At most kShortStringBytesMax bytes.
using ShortString = WireString<struct ShortStringDomain>;
using LongString = WireString<struct LongStringDomain>;
// The content of a field table, without its length prefix. Decoding a method checks it with
// valid_table().
using TableBytes = WireString<struct TableDomain>;

}  // namespace warren::amqp
