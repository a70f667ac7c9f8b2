// SPDX-License-Identifier: Apache-2.0
// Encodes and decodes every method from its fields(): the one place that knows how arguments lie in
// a method frame. Never throws; decoding rejects every truncation and every trailing byte.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

#include "storage/base/assert.h"
#include "storage/base/bytes.h"

#include "server/amqp/field_table_codec.h"
#include "server/amqp/wire_types.h"

namespace warren::amqp {

// Adds up what the fields take. Neighbouring bits share an octet, as in the writer and the reader
// below.
class ArgumentSizer {
 public:
  void field(bool) { bits_ = bits_ == 0 ? (++size_, 1) : (bits_ + 1) % 8; }
  void field(std::uint8_t) { add(1); }
  void field(std::uint16_t) { add(2); }
  void field(std::uint32_t) { add(4); }
  void field(std::uint64_t) { add(8); }
  void field(ShortString string) { add(1 + string.size()); }
  void field(LongString string) { add(4 + string.size()); }
  void field(TableBytes table) { add(4 + table.size()); }

  std::size_t size() const { return size_; }

 private:
  void add(std::size_t bytes) {
    size_ += bytes;
    bits_ = 0;
  }

  std::size_t size_ = 0;
  unsigned bits_ = 0;  // bits taken in the last octet; 0: the next bit opens one
};

// Writes to memory that ArgumentSizer has measured.
class ArgumentWriter {
 public:
  explicit ArgumentWriter(char* to) : to_(to) {}

  void field(bool bit) {
    if (bits_ == 0) *to_++ = 0;
    if (bit) to_[-1] = static_cast<char>(to_[-1] | 1 << bits_);
    bits_ = (bits_ + 1) % 8;
  }
  void field(std::uint8_t value) { number(value); }
  void field(std::uint16_t value) { number(value); }
  void field(std::uint32_t value) { number(value); }
  void field(std::uint64_t value) { number(value); }
  void field(ShortString string) {
    WARREN_ASSERT(string.size() <= kShortStringBytesMax);
    number(static_cast<std::uint8_t>(string.size()));
    raw(string);
  }
  void field(LongString string) { long_string(string); }
  void field(TableBytes table) { long_string(table); }

  char* end() const { return to_; }

 private:
  template <class T>
  void number(T value) {
    store_big_endian<T>(to_, value);
    to_ += sizeof(T);
    bits_ = 0;
  }
  void raw(Bytes bytes) {
    if (!bytes.empty()) std::memcpy(to_, bytes.data(), bytes.size());
    to_ += bytes.size();
  }
  void long_string(Bytes bytes) {
    WARREN_ASSERT(bytes.size() <= UINT32_MAX);
    number(static_cast<std::uint32_t>(bytes.size()));
    raw(bytes);
  }

  char* to_;
  unsigned bits_ = 0;
};

class ArgumentReader {
 public:
  explicit ArgumentReader(Bytes in) : in_(in) {}

  void field(bool& bit) {
    if (bits_ == 0) octet_ = in_.u8();
    bit = (octet_ >> bits_ & 1) != 0;
    bits_ = (bits_ + 1) % 8;
  }
  template <class T>
  requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) void field(T& value) {
    value = in_.get<T>();
    bits_ = 0;
  }
  void field(ShortString& string) {
    string.value = in_.raw(in_.u8());
    bits_ = 0;
  }
  void field(LongString& string) {
    string.value = in_.raw(in_.u32());
    bits_ = 0;
  }
  void field(TableBytes& table) {
    table.value = in_.raw(in_.u32());
    bits_ = 0;
    if (!table.empty() && !valid_table(table)) in_.fail();
  }

  bool complete() const { return in_.ok() && in_.at_end(); }

 private:
  ByteReader in_;
  std::uint8_t octet_ = 0;
  unsigned bits_ = 0;
};

// Shows every field of a method, in wire order, to one of the three above.
template <class Visitor, class M>
void visit_fields(Visitor& visitor, M& method) {
  std::apply([&](auto... members) { (visitor.field(method.*members), ...); },
             std::remove_const_t<M>::fields());
}

// Bytes of a method's payload: class id, method id, arguments.
template <class M>
std::size_t method_size(const M& method) {
  ArgumentSizer sizer;
  visit_fields(sizer, method);
  return 4 + sizer.size();
}

// Writes method_size(method) bytes, returns the end.
// REQUIRES: short strings of at most kShortStringBytesMax bytes.
template <class M>
char* write_method(char* to, const M& method) {
  ArgumentWriter writer(to);
  writer.field(M::kClassId);
  writer.field(M::kMethodId);
  visit_fields(writer, method);
  return writer.end();
}

// Appends class id, method id and arguments.
template <class M>
void encode_method(std::string& out, const M& method) {
  const std::size_t at = out.size();
  out.resize(at + method_size(method));
  write_method(out.data() + at, method);
}

// False on truncation, trailing bytes or an invalid table; `out` is then half filled. Views in
// `out` point into `arguments`.
template <class M>
bool decode_arguments(Bytes arguments, M& out) {
  ArgumentReader reader(arguments);
  visit_fields(reader, out);
  return reader.complete();
}

}  // namespace warren::amqp
