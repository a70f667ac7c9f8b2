// SPDX-License-Identifier: Apache-2.0
// Errors that the caller can decide about: Result<T> holds a T or an Error, Status holds nothing or
// an Error.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "storage/base/assert.h"
#include "storage/base/errc.h"

namespace warren {

// Code for machines, text for people. The text carries names and paths, never message bodies or
// secrets.
struct Error {
  Errc code = Errc::internal;
  std::string text;
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  // REQUIRES: !ok().
  const Error& error() const {
    WARREN_ASSERT(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: ok().
  T& value() {
    WARREN_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const {
    WARREN_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T take() { return std::move(value()); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // REQUIRES: !ok().
  const Error& error() const {
    WARREN_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

}  // namespace warren

#define WARREN_CONCAT_INNER(a, b) a##b
#define WARREN_CONCAT(a, b) WARREN_CONCAT_INNER(a, b)

// WARREN_TRY(const auto header, read_header(bytes)): declares, or returns the error from this
// function.
#define WARREN_TRY(declaration, expression)                 \
  auto WARREN_CONCAT(warren_try_, __LINE__) = (expression); \
  if (!WARREN_CONCAT(warren_try_, __LINE__).ok())           \
    return WARREN_CONCAT(warren_try_, __LINE__).error();    \
  declaration = WARREN_CONCAT(warren_try_, __LINE__).take()

// WARREN_CHECK(batch.commit()): returns the error of a Status from this function.
#define WARREN_CHECK(expression)                                          \
  if (auto warren_check_status = (expression); !warren_check_status.ok()) \
  return warren_check_status.error()
