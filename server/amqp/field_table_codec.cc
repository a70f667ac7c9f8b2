// SPDX-License-Identifier: Apache-2.0
#include "server/amqp/field_table_codec.h"

#include <bit>

#include "server/amqp/wire_types.h"

namespace warren::amqp {
namespace {

// Walks the bytes of a table without keeping anything.
class Checker {
 public:
  bool table(Bytes content, int depth) {
    if (depth > kTableDepthMax) return false;
    ByteReader in(content);
    while (in.ok() && !in.at_end()) {
      in.raw(in.u8());  // the name
      if (!value(in, depth)) return false;
    }
    return in.ok();
  }

 private:
  bool array(Bytes content, int depth) {
    if (depth > kTableDepthMax) return false;
    ByteReader in(content);
    while (in.ok() && !in.at_end()) {
      if (!value(in, depth)) return false;
    }
    return in.ok();
  }

  bool value(ByteReader& in, int depth) {
    if (++values_ > kTableValuesMax) return false;
    switch (static_cast<FieldType>(in.u8())) {
      case FieldType::boolean:
      case FieldType::signed_8:
      case FieldType::unsigned_8:
        in.raw(1);
        return in.ok();
      case FieldType::signed_16:
      case FieldType::unsigned_16:
        in.raw(2);
        return in.ok();
      case FieldType::signed_32:
      case FieldType::unsigned_32:
      case FieldType::float_32:
        in.raw(4);
        return in.ok();
      case FieldType::decimal:
        in.raw(5);
        return in.ok();
      case FieldType::signed_64:
      case FieldType::signed_64_alternative:
      case FieldType::float_64:
      case FieldType::timestamp:
        in.raw(8);
        return in.ok();
      case FieldType::longstr:
      case FieldType::bytes:
        in.raw(in.u32());
        return in.ok();
      case FieldType::table: {
        const Bytes content = in.raw(in.u32());
        return in.ok() && table(content, depth + 1);
      }
      case FieldType::array: {
        const Bytes content = in.raw(in.u32());
        return in.ok() && array(content, depth + 1);
      }
      case FieldType::nothing:
        return in.ok();
    }
    return false;
  }

  std::size_t values_ = 0;
};

// The two below read only what Checker has accepted.
FieldTable read_table(Bytes content);
FieldArray read_array(Bytes content);

template <class T>
std::int64_t read_integer(ByteReader& in) {
  return static_cast<T>(in.get<std::make_unsigned_t<T>>());
}

FieldValue::Data read_data(FieldType type, ByteReader& in) {
  switch (type) {
    case FieldType::longstr:
    case FieldType::bytes:
      return std::string(in.raw(in.u32()));
    case FieldType::boolean:
      return in.u8() != 0;
    case FieldType::signed_8:
      return read_integer<std::int8_t>(in);
    case FieldType::unsigned_8:
      return read_integer<std::uint8_t>(in);
    case FieldType::signed_16:
      return read_integer<std::int16_t>(in);
    case FieldType::unsigned_16:
      return read_integer<std::uint16_t>(in);
    case FieldType::signed_32:
      return read_integer<std::int32_t>(in);
    case FieldType::unsigned_32:
      return read_integer<std::uint32_t>(in);
    case FieldType::signed_64:
    case FieldType::signed_64_alternative:
      return read_integer<std::int64_t>(in);
    case FieldType::float_32:
      return std::bit_cast<float>(in.u32());
    case FieldType::float_64:
      return std::bit_cast<double>(in.u64());
    case FieldType::decimal: {
      const std::uint8_t scale = in.u8();
      return Decimal{.scale = scale, .unscaled = in.u32()};
    }
    case FieldType::timestamp:
      return Timestamp{in.u64()};
    case FieldType::table:
      return read_table(in.raw(in.u32()));
    case FieldType::array:
      return read_array(in.raw(in.u32()));
    case FieldType::nothing:
      return std::monostate{};
  }
  return std::monostate{};
}

FieldValue read_value(ByteReader& in) {
  const auto type = static_cast<FieldType>(in.u8());
  return FieldValue(type, read_data(type, in));
}

FieldTable read_table(Bytes content) {
  ByteReader in(content);
  FieldTable table;
  while (in.ok() && !in.at_end()) {
    std::string name(in.raw(in.u8()));
    table.append(std::move(name), read_value(in));
  }
  WARREN_ASSERT(in.ok());
  return table;
}

FieldArray read_array(Bytes content) {
  ByteReader in(content);
  FieldArray array;
  while (in.ok() && !in.at_end()) array.push_back(read_value(in));
  WARREN_ASSERT(in.ok());
  return array;
}

void write_value(ByteWriter& out, const FieldValue& value);

void write_entries(ByteWriter& out, const FieldTable& table) {
  for (const FieldEntry& entry : table.entries()) {
    WARREN_ASSERT(entry.name.size() <= kShortStringBytesMax);
    out.u8(static_cast<std::uint8_t>(entry.name.size()));
    out.raw(entry.name);
    write_value(out, entry.value);
  }
}

// A length prefix, and what `write` appends.
template <class Write>
void write_prefixed(ByteWriter& out, Write write) {
  const std::size_t at = out.position();
  out.u32(0);
  write();
  const std::size_t size = out.position() - at - 4;
  WARREN_ASSERT(size <= UINT32_MAX);
  out.patch_u32(at, static_cast<std::uint32_t>(size));
}

// How many bytes an integer of this letter takes.
std::size_t integer_width(FieldType type) {
  if (type == FieldType::signed_8 || type == FieldType::unsigned_8) return 1;
  if (type == FieldType::signed_16 || type == FieldType::unsigned_16) return 2;
  if (type == FieldType::signed_32 || type == FieldType::unsigned_32) return 4;
  return 8;
}

void write_integer(ByteWriter& out, FieldType type, std::int64_t value) {
  const std::size_t width = integer_width(type);
  char raw[sizeof(value)];
  store_big_endian<std::uint64_t>(raw, static_cast<std::uint64_t>(value));
  out.raw(Bytes(raw + sizeof(raw) - width, width));
}

struct DataWriter {
  ByteWriter& out;
  FieldType type;

  void operator()(std::monostate) const {}
  void operator()(bool value) const { out.u8(value ? 1 : 0); }
  void operator()(std::int64_t value) const { write_integer(out, type, value); }
  void operator()(float value) const { out.u32(std::bit_cast<std::uint32_t>(value)); }
  void operator()(double value) const { out.u64(std::bit_cast<std::uint64_t>(value)); }
  void operator()(Decimal value) const {
    out.u8(value.scale);
    out.u32(value.unscaled);
  }
  void operator()(Timestamp value) const { out.u64(value.seconds); }
  void operator()(const std::string& value) const {
    write_prefixed(out, [&] { out.raw(value); });
  }
  void operator()(const FieldArray& value) const {
    write_prefixed(out, [&] {
      for (const FieldValue& item : value) write_value(out, item);
    });
  }
  void operator()(const FieldTable& value) const {
    write_prefixed(out, [&] { write_entries(out, value); });
  }
};

void write_value(ByteWriter& out, const FieldValue& value) {
  out.u8(static_cast<std::uint8_t>(value.type()));
  std::visit(DataWriter{out, value.type()}, value.data());
}

}  // namespace

bool valid_table(Bytes content) {
  if (content.size() > kTableBytesMax) return false;
  return Checker().table(content, 1);
}

Result<FieldTable> decode_table(Bytes content) {
  if (!valid_table(content)) {
    return Error{Errc::invalid_argument, "malformed field table"};
  }
  return read_table(content);
}

FieldTable decode_or_empty(Bytes content) {
  if (content.empty()) return {};
  auto table = decode_table(content);
  return table.ok() ? table.take() : FieldTable{};
}

void encode_table(std::string& out, const FieldTable& table) {
  ByteWriter writer(out);
  write_entries(writer, table);
}

}  // namespace warren::amqp
