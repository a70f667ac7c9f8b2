// SPDX-License-Identifier: Apache-2.0
// Views of raw bytes and big-endian cursors over them. Never throw; a reader remembers its first
// error.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace warren {

// Borrowed bytes, not text. The owner is named where a view is stored.
using Bytes = std::string_view;

template <class T>
T load_big_endian(const char* from) {
  static_assert(std::is_unsigned_v<T>);
  T value;
  std::memcpy(&value, from, sizeof(T));
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  return value;
}

template <class T>
void store_big_endian(char* to, T value) {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
  if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
  std::memcpy(to, &value, sizeof(T));
}

// Appends big-endian integers and raw bytes to a string that it borrows.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  template <class T>
  void put(T value) {
    char raw[sizeof(T)];
    store_big_endian<T>(raw, value);
    out_.append(raw, sizeof(T));
  }
  void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u16(std::uint16_t value) { put(value); }
  void u32(std::uint32_t value) { put(value); }
  void u64(std::uint64_t value) { put(value); }
  void raw(Bytes bytes) { out_.append(bytes); }

  std::size_t position() const { return out_.size(); }
  // REQUIRES: at + 4 <= position().
  void patch_u32(std::size_t at, std::uint32_t value) {
    store_big_endian<std::uint32_t>(out_.data() + at, value);
  }

 private:
  std::string& out_;
};

// Reads big-endian integers and raw bytes. After the first read past the end every read gives zero
// or nothing and ok() is false: check it once at the end.
class ByteReader {
 public:
  explicit ByteReader(Bytes in) : in_(in) {}

  template <class T>
  T get() {
    if (!take(sizeof(T))) return 0;
    return load_big_endian<T>(in_.data() + at_ - sizeof(T));
  }
  std::uint8_t u8() { return get<std::uint8_t>(); }
  std::uint16_t u16() { return get<std::uint16_t>(); }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  std::uint64_t u64() { return get<std::uint64_t>(); }
  Bytes raw(std::size_t size) { return take(size) ? in_.substr(at_ - size, size) : Bytes{}; }

  bool ok() const { return ok_; }
  bool at_end() const { return at_ == in_.size(); }
  std::size_t position() const { return at_; }
  std::size_t remaining() const { return in_.size() - at_; }
  void fail() { ok_ = false; }

 private:
  bool take(std::size_t size) {
    if (!ok_ || size > remaining()) {
      ok_ = false;
      return false;
    }
    at_ += size;
    return true;
  }

  Bytes in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace warren
